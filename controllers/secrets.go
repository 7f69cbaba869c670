package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get;list;watch

// contents reads Secrets and ConfigMaps that objects refer to. Of all there are only the metadata are cached; what is referred
// to is fetched, and kept until it changes or nothing refers to it any more. Safe for concurrent use.
type contents struct {
	live  client.Reader // asks the API server
	cache client.Reader // has the metadata, and the objects that refer

	mu    sync.Mutex
	kept  map[reference]client.Object
	swept time.Time
}

// How contents reads and keeps.
const (
	readAtOnce  = 16               // GETs at the same time
	readSingly  = 64               // more than that are missing in one namespace: list it
	listChunk   = 100              // of a list: Secrets that a tenant makes can have 1 MiB each
	sweepSeldom = 10 * time.Minute // between looks at what is still referred to
)

func newContents(mgr manager.Manager) *contents {
	return &contents{live: mgr.GetAPIReader(), cache: mgr.GetCache(), kept: map[reference]client.Object{}}
}

// Secret returns a Secret, which must not be changed. The error is NotFound (apierrors) when there is none.
func (c *contents) Secret(ctx context.Context, name types.NamespacedName) (*corev1.Secret, error) {
	o, err := c.get(ctx, reference{secretKind, name})
	if err != nil {
		return nil, err
	}
	return o.(*corev1.Secret), nil
}

// ConfigMap returns a ConfigMap, all of it in BinaryData, which must not be changed. The error is NotFound (apierrors) when there is none.
func (c *contents) ConfigMap(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error) {
	o, err := c.get(ctx, reference{configMapKind, name})
	if err != nil {
		return nil, err
	}
	return o.(*corev1.ConfigMap), nil
}

func (c *contents) get(ctx context.Context, ref reference) (client.Object, error) {
	object, err := c.known(ctx, ref)
	if object != nil || err != nil {
		return object, err
	}
	return c.fetch(ctx, ref)
}

// known returns what was fetched before when it is still as the metadata say. Both results are nil when it has to be fetched.
func (c *contents) known(ctx context.Context, ref reference) (client.Object, error) {
	var seen metav1.PartialObjectMetadata
	seen.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(ref.kind))
	if err := c.cache.Get(ctx, ref.NamespacedName, &seen, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept[ref]
	if kept == nil || kept.GetUID() != seen.UID || kept.GetResourceVersion() != seen.ResourceVersion {
		return nil, nil
	}
	return kept, nil
}

func (c *contents) fetch(ctx context.Context, ref reference) (client.Object, error) {
	var object client.Object = new(corev1.Secret)
	if ref.kind == configMapKind {
		object = new(corev1.ConfigMap)
	}
	if err := c.live.Get(ctx, ref.NamespacedName, object); err != nil {
		return nil, fmt.Errorf("get %s %s: %w", ref.kind, ref.NamespacedName, err)
	}
	c.keep(ref, object)
	return object, nil
}

func (c *contents) keep(ref reference, object client.Object) {
	object.SetManagedFields(nil)
	if m, ok := object.(*corev1.ConfigMap); ok { // as octets, so that nobody has to copy them: hundreds of shards may
		for key, value := range m.Data {
			if m.BinaryData == nil {
				m.BinaryData = map[string][]byte{}
			}
			m.BinaryData[key] = []byte(value)
		}
		m.Data = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[ref] = object
}

// all returns those of refs that exist.
func (c *contents) all(ctx context.Context, refs []reference) (map[reference]client.Object, error) {
	out := make(map[reference]client.Object, len(refs))
	missing := map[reference]bool{}
	perNamespace := map[string]int{}
	for _, ref := range refs {
		object, err := c.known(ctx, ref)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, err
		case object != nil:
			out[ref] = object
		case !missing[ref]:
			missing[ref] = true
			if ref.kind == secretKind {
				perNamespace[ref.Namespace]++
			}
		}
	}
	for namespace, count := range perNamespace {
		if count > readSingly {
			if err := c.list(ctx, namespace, missing, out); err != nil {
				return nil, err
			}
		}
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readAtOnce)
	for ref := range missing {
		g.Go(func() error {
			object, err := c.fetch(ctx, ref)
			if apierrors.IsNotFound(err) {
				return nil // since a moment ago
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out[ref] = object
			return nil
		})
	}
	return out, g.Wait()
}

// list reads all Secrets of a namespace and keeps those that are missing: one request in place of hundreds.
func (c *contents) list(ctx context.Context, namespace string, missing map[reference]bool, out map[reference]client.Object) error {
	var page corev1.SecretList
	for {
		err := c.live.List(ctx, &page, client.InNamespace(namespace), client.Limit(listChunk), client.Continue(page.Continue))
		if err != nil {
			return fmt.Errorf("list Secrets of namespace %s: %w", namespace, err)
		}
		for i := range page.Items {
			ref := reference{secretKind, client.ObjectKeyFromObject(&page.Items[i])}
			if missing[ref] {
				object := page.Items[i].DeepCopy() // alone, not as a part of the page
				c.keep(ref, object)
				out[ref] = object
				delete(missing, ref)
			}
		}
		if page.Continue == "" {
			return nil
		}
	}
}

// sweep forgets what nothing refers to any more, now and then.
func (c *contents) sweep(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	if now.Sub(c.swept) < sweepSeldom {
		c.mu.Unlock()
		return nil
	}
	c.swept = now
	refs := make([]reference, 0, len(c.kept))
	for ref := range c.kept {
		refs = append(refs, ref)
	}
	c.mu.Unlock()
	for _, ref := range refs {
		used, err := c.used(ctx, ref)
		if err != nil {
			return err
		}
		if !used {
			c.mu.Lock()
			delete(c.kept, ref)
			c.mu.Unlock()
		}
	}
	return nil
}

func (c *contents) used(ctx context.Context, ref reference) (bool, error) {
	var seen metav1.PartialObjectMetadata
	seen.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(ref.kind))
	if err := c.cache.Get(ctx, ref.NamespacedName, &seen, client.UnsafeDisableDeepCopy); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	lists := []client.ObjectList{&v1alpha1.FederationGatewayList{}, &v1alpha1.FederatedDomainList{}, &v1alpha1.PeerPolicyList{}}
	field := fieldConfigMaps
	if ref.kind == secretKind {
		field, lists = fieldSecrets, append(lists, &v1alpha1.DKIMKeyList{})
	}
	for _, list := range lists {
		if err := c.cache.List(ctx, list, client.InNamespace(ref.Namespace), client.MatchingFields{field: ref.Name}, client.Limit(1), client.UnsafeDisableDeepCopy); err != nil {
			return false, err
		}
		if apimeta.LenList(list) > 0 {
			return true, nil
		}
	}
	return false, nil
}
