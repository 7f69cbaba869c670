// Package admintest is the administrator in tests of the operator: who makes certificates and Secrets, sets the DNS records that
// status shows, and waits until resources are Ready.
package admintest

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

// Admin has the say in a cluster, in the zones of a name server, and over who gets certificates.
type Admin struct {
	Client client.Client
	DNS    *primarytest.Server
	CA     *catest.CA
}

// Put makes objects, or replaces those that are there.
func (a *Admin) Put(t testing.TB, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		err := a.Client.Create(t.Context(), o)
		if apierrors.IsAlreadyExists(err) {
			old := o.DeepCopyObject().(client.Object)
			if err = a.Client.Get(t.Context(), client.ObjectKeyFromObject(o), old); err == nil {
				o.SetResourceVersion(old.GetResourceVersion())
				err = a.Client.Update(t.Context(), o)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Secret makes one of a namespace, or replaces it.
func (a *Admin) Secret(t testing.TB, namespace, name string, data map[string]string) {
	t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	a.Put(t, s)
}

// Certificate makes a kubernetes.io/tls Secret for names, or replaces it.
func (a *Admin) Certificate(t testing.TB, namespace, name string, names ...string) {
	t.Helper()
	leaf, err := a.CA.Issue(catest.Leaf{DNS: names})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	a.Put(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": cert, "tls.key": key},
	})
}

// Within waits; says tells what is missing when it does not come.
func Within(t testing.TB, d time.Duration, what string, says func() string, done func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) { return done(ctx), nil }) != nil {
		t.Fatalf("it never came to this: %s\n%s", what, says())
	}
}
