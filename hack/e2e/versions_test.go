//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// census lists all objects of the release and of both organisations: everything in their namespaces, and what is labelled as ours
// outside of namespaces. Events and Leases are none: they come and go.
type census struct {
	metadata   metadata.Interface
	namespaced []schema.GroupVersionResource
	clusterly  []schema.GroupVersionResource
	namespaces []string
}

func (w *world) newCensus(t *testing.T) *census {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(w.config)
	if err != nil {
		t.Fatal(err)
	}
	var lists []*metav1.APIResourceList
	w.until(t, "the API server lists all resources", func() string { return openOr(err) }, func(context.Context) bool {
		lists, err = d.ServerPreferredResources() // one of another server may be away for a moment
		return err == nil
	})
	c := &census{namespaces: []string{systemNS, w.west.name, w.east.name}}
	config := rest.CopyConfig(w.config)
	config.WarningHandler = rest.NoWarnings{} // of old kinds
	if c.metadata, err = metadata.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			switch {
			case !slices.Contains(r.Verbs, "list"), group.Group == "metrics.k8s.io", r.Name == "events", r.Name == "leases":
			case r.Namespaced:
				c.namespaced = append(c.namespaced, group.WithResource(r.Name))
			default:
				c.clusterly = append(c.clusterly, group.WithResource(r.Name))
			}
		}
	}
	return c
}

// versions are UID, generation and resourceVersion of every object, by resource, namespace and name.
func (c *census) versions(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	add := func(r schema.GroupVersionResource, in metadata.ResourceInterface, opt metav1.ListOptions) error {
		list, err := in.List(ctx, opt)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Resource, err)
		}
		for _, o := range list.Items {
			out[fmt.Sprintf("%s %s/%s", r.GroupResource(), o.Namespace, o.Name)] = fmt.Sprintf("%s generation %d version %s", o.UID, o.Generation, o.ResourceVersion)
		}
		return nil
	}
	for _, r := range c.namespaced {
		for _, ns := range c.namespaces {
			if err := add(r, c.metadata.Resource(r).Namespace(ns), metav1.ListOptions{}); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range c.clusterly {
		if err := add(r, c.metadata.Resource(r), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=calfed"}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// calm waits until everything is Ready and nothing has changed for three seconds, and returns the versions.
func (w *world) calm(t *testing.T, c *census) map[string]string {
	t.Helper()
	var last map[string]string
	since := time.Now()
	w.until(t, "nothing changes any more", func() string { return "" }, func(ctx context.Context) bool {
		now, err := c.versions(ctx)
		if err != nil || !maps.Equal(now, last) {
			last, since = now, time.Now()
			return false
		}
		return time.Since(since) > 3*time.Second && len(w.notReady(ctx, w.west.name, w.east.name)) == 0
	})
	return last
}

func (c *census) mustVersions(t *testing.T) map[string]string {
	t.Helper()
	out, err := c.versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}
