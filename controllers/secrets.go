package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// contents reads Secrets and ConfigMaps that objects refer to. Of all there are only the metadata are cached; what is referred
// to is fetched, and kept until it changes or nothing refers to it any more.
type contents struct {
	live client.Reader
}

func newContents(mgr manager.Manager) *contents { return &contents{live: mgr.GetAPIReader()} }

// Secret returns a Secret, which must not be changed. The error is NotFound (apierrors) when there is none.
func (c *contents) Secret(ctx context.Context, name types.NamespacedName) (*corev1.Secret, error) {
	s := new(corev1.Secret)
	return s, c.live.Get(ctx, name, s)
}

// ConfigMap returns a ConfigMap, which must not be changed. The error is NotFound (apierrors) when there is none.
func (c *contents) ConfigMap(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error) {
	m := new(corev1.ConfigMap)
	return m, c.live.Get(ctx, name, m)
}
