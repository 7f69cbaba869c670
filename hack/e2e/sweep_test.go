//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
)

// access is a resource that somebody may have rights on. No namespace: the whole cluster; no name: any.
type access struct{ verb, resource, version, group, namespace, name string }

func (a access) String() string {
	out := a.verb + " " + a.resource + "." + a.version
	if a.group != "" {
		out += "." + a.group
	}
	if a.namespace != "" || a.name != "" {
		out += " " + a.namespace + "/" + a.name
	}
	return out
}

// sweep asks of one user whether he may, again and again.
type sweep struct {
	t       *testing.T
	as      kubernetes.Interface
	kinds   []resourceKind
	tried   map[access]bool
	allowed []string // what he may, sorted; a right on all names once
}

// resourceKind is one of discovery.
type resourceKind struct {
	metav1.APIResource
	group, version string
}

// parts are the name in paths and what follows that of an object.
func (k *resourceKind) parts() (resource, sub string) {
	resource, sub, found := strings.Cut(k.Name, "/")
	if found {
		sub = "/" + sub
	}
	return resource, sub
}

var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// add adds all verbs, or the one that is said.
func (s *sweep) add(a access) {
	if a.verb != "" {
		s.tried[a] = true
		return
	}
	for _, a.verb = range verbs {
		s.tried[a] = true
	}
}

// everything adds all resources and subresources that the API server lists, unnamed and named as the gateway.
func (s *sweep) everything(w *world, namespaces ...string) {
	s.t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(w.config)
	if err != nil {
		s.t.Fatal(err)
	}
	var lists []*metav1.APIResourceList
	w.until(s.t, "the API server lists all resources", func() string { return openOr(err) }, func(context.Context) bool {
		_, lists, err = d.ServerGroupsAndResources() // one of another server may be away for a moment
		return err == nil
	})
	for _, list := range lists {
		group, version, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			group, version = "", group
		}
		for _, r := range list.APIResources {
			s.kinds = append(s.kinds, resourceKind{r, group, version})
			for _, name := range []string{"", "edge"} {
				a := access{resource: r.Name, version: version, group: group, name: name}
				s.add(a)
				for _, a.namespace = range namespaces {
					if r.Namespaced {
						s.add(a)
					}
				}
			}
		}
	}
	s.t.Logf("discovery lists %d resources and subresources", len(s.kinds))
}

// whatDiscoveryHidesFrom adds rights that are on no resource of discovery, or by a verb of their own.
func (s *sweep) whatDiscoveryHidesFrom(namespace string) {
	const rbac, certificates = "rbac.authorization.k8s.io", "certificates.k8s.io"
	for _, part := range []string{"proxy", "stats", "metrics", "log", "spec", "checkpoint", "configz", "healthz", "pods"} { // of the kubelet
		s.add(access{resource: "nodes/" + part, version: "v1"})
	}
	for _, a := range []access{
		{"impersonate", "users", "v1", "", "", ""},
		{"impersonate", "groups", "v1", "", "", ""},
		{"impersonate", "serviceaccounts", "v1", "", namespace, "default"},
		{"impersonate", "uids", "v1", "authentication.k8s.io", "", ""},
		{"impersonate", "userextras/scopes", "v1", "authentication.k8s.io", "", ""},
		{"escalate", "roles", "v1", rbac, namespace, ""},
		{"bind", "roles", "v1", rbac, namespace, ""},
		{"escalate", "clusterroles", "v1", rbac, "", ""},
		{"bind", "clusterroles", "v1", rbac, "", ""},
		{"approve", "signers", "v1", certificates, "", ""},
		{"sign", "signers", "v1", certificates, "", ""},
		{"attest", "signers", "v1", certificates, "", ""},
		{"*", "*", "*", "*", namespace, ""},
		{"*", "*", "*", "*", "", ""},
	} {
		s.add(a)
	}
}

// ask has the API server answer for each combination.
func (s *sweep) ask() {
	s.t.Helper()
	todo, granted := make(chan access), map[access]bool{}
	var mu sync.Mutex
	var failed error
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for a := range todo {
				resource, sub, _ := strings.Cut(a.resource, "/")
				review, err := s.as.AuthorizationV1().SelfSubjectAccessReviews().Create(s.t.Context(), &authorizationv1.SelfSubjectAccessReview{
					Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
						Verb: a.verb, Group: a.group, Version: a.version, Resource: resource, Subresource: sub, Namespace: a.namespace, Name: a.name,
					}},
				}, metav1.CreateOptions{})
				mu.Lock()
				switch {
				case err != nil:
					failed = errors.Join(failed, fmt.Errorf("%s: %w", a, err))
				case review.Status.Allowed:
					granted[a] = true
				}
				mu.Unlock()
			}
		})
	}
	for a := range s.tried {
		todo <- a
	}
	close(todo)
	done.Wait()
	if failed != nil {
		s.t.Fatal(failed)
	}
	for a := range granted {
		any := a
		any.name = ""
		if a.name == "" || !granted[any] {
			s.allowed = append(s.allowed, a.String())
		}
	}
	slices.Sort(s.allowed)
}

// checkWrites has the user try for real, though dry, every write that the API server lists and said he may not make: on the resources of a
// namespace and of the cluster.
func (s *sweep) checkWrites(namespace string) {
	s.t.Helper()
	methods := map[string]string{"create": http.MethodPost, "update": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete, "deletecollection": http.MethodDelete}
	type write struct{ method, path string }
	var all []write
	for _, k := range s.kinds {
		a := access{resource: k.Name, version: k.version, group: k.group}
		if k.Namespaced {
			a.namespace = namespace
		}
		for verb, method := range methods {
			if a.verb = verb; slices.Contains(k.Verbs, verb) && !slices.Contains(s.allowed, a.String()) {
				all = append(all, write{method, k.path(a.namespace, verb)})
			}
		}
	}
	wrong := eightAtOnce(all, func(x write) error {
		// who may not is refused before anybody looks at the object, and this one is none
		err := s.as.Discovery().RESTClient().Verb(x.method).RequestURI(x.path+"?dryRun=All").
			SetHeader("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[x.method == http.MethodPatch]).
			Body([]byte("{}")).Do(s.t.Context()).Error()
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("%s %s: want 403, got %s", x.method, x.path, answered(err))
		}
		return nil
	})
	if wrong != nil || len(all) < 100 {
		s.t.Errorf("of %d writes: %v", len(all), wrong)
	}
	s.t.Logf("%d real writes, dry: all refused", len(all))
}

// path is where a verb goes that writes: to an object named as the gateway, or to where all such are.
func (k *resourceKind) path(namespace, verb string) string {
	path := "/apis/" + k.group + "/" + k.version
	if k.group == "" {
		path = "/api/" + k.version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	resource, sub := k.parts()
	if path += "/" + resource; (verb == "create" || verb == "deletecollection") && sub == "" {
		return path
	}
	return path + "/edge" + sub
}
