//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/calfed/calfed/gateway/snapshot"
)

// read is one GET request, and whether it is to be refused.
type read struct {
	path, query string
	allowed     bool
}

// checkReads has the user of a sweep read for real what the API server lists: all that can be listed, watched and got, in two namespaces
// and of all namespaces, and Secrets by name. The user may have the snapshot of a gateway in the first namespace, and nothing else.
func (s *sweep) checkReads(own, other, gateway string, secrets []string) {
	s.t.Helper()
	var all []read
	for _, kind := range s.kinds {
		all = append(all, kind.reads(own, other)...)
	}
	for _, name := range secrets {
		index := name == snapshot.IndexName(gateway)
		for _, ns := range []string{own, other} {
			path := "/api/v1/namespaces/" + ns + "/secrets"
			all = append(all,
				read{path + "/" + name, "", ns == own && (index || isShard(name, gateway))},
				read{path, "fieldSelector=metadata.name%3D" + name, ns == own && index},
				read{path, "watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3D" + name, ns == own && index},
			)
		}
	}
	allowed := 0
	for _, r := range all {
		if r.allowed {
			allowed++
		}
	}
	if err := tryReads(s.t, s.as, all); err != nil {
		s.t.Error(err)
	}
	s.t.Logf("%d real reads: %d of the snapshot were let through, all others refused", len(all), allowed)
}

func isShard(name, gateway string) bool {
	for i := range snapshot.Shards {
		if name == snapshot.ShardName(gateway, i) {
			return true
		}
	}
	return false
}

// reads are those that a kind has.
func (k *resourceKind) reads(namespaces ...string) []read {
	base := "/apis/" + k.group + "/" + k.version
	if k.group == "" {
		base = "/api/" + k.version
	}
	places := []string{base}
	if k.Namespaced {
		for _, ns := range namespaces {
			places = append(places, base+"/namespaces/"+ns)
		}
	}
	var out []read
	for i, place := range places {
		if slices.Contains(k.Verbs, "get") && (i > 0 || !k.Namespaced) {
			resource, sub := k.parts()
			out = append(out, read{path: place + "/" + resource + "/edge" + sub})
		}
		if slices.Contains(k.Verbs, "list") {
			out = append(out, read{path: place + "/" + k.Name})
		}
		if slices.Contains(k.Verbs, "watch") {
			out = append(out, read{path: place + "/" + k.Name, query: "watch=1&timeoutSeconds=1"})
		}
	}
	return out
}

// tryReads makes requests and returns those that were answered other than they should.
func tryReads(t *testing.T, as kubernetes.Interface, all []read) error {
	t.Helper()
	return eightAtOnce(all, func(r read) error {
		err := as.Discovery().RESTClient().Get().RequestURI(r.path + "?" + r.query).Do(t.Context()).Error()
		if refused := apierrors.IsForbidden(err); refused == r.allowed || r.allowed && err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("GET %s?%s: %s", r.path, r.query, answered(err))
		}
		return nil
	})
}

// answered is what the API server said, in words.
func answered(err error) string {
	if err == nil {
		return "granted"
	}
	return err.Error()
}

// eightAtOnce does something with each of all, and returns what went wrong.
func eightAtOnce[T any](all []T, do func(T) error) error {
	todo := make(chan int)
	wrong := make([]error, len(all))
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for i := range todo {
				wrong[i] = do(all[i])
			}
		})
	}
	for i := range all {
		todo <- i
	}
	close(todo)
	done.Wait()
	return errors.Join(wrong...)
}
