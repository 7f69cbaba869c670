//go:build interop

// Package operator runs the whole operator on a real API server: installed by the Helm chart, with the rights that gives, its pods
// the real processes; a real primary name server; and the test as administrator, external-dns, load balancer and peer.
//
// It needs root, for ports below 1024 of loopback addresses.
package operator_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/deploytest"
)

const (
	systemNS = "calfed-system"
	host     = "calendar.example.org"
	tsig     = "c2hhcmVkLXdpdGgtdGhlLW5hbWUtc2VydmVy"
	patience = 3 * time.Minute
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

// world is a cluster with the operator, and what surrounds it.
type world struct {
	t         *testing.T
	c         client.Client
	cluster   *kubetest.Cluster
	operators *kubetest.Kubelet
	dns       *primarytest.Server
	nsIP      string // of the name server, and where the load balancer listens
	lbIP      string
	ca        *catest.CA
}

// newWorld starts everything but the resources.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, cluster: kubetest.New(t, kubetest.Options{ControllerManager: true, Neighbours: true})}
	w.c = w.cluster.Client
	low := fmt.Sprintf("%d.%d", os.Getpid()>>8&255, os.Getpid()&255)
	w.nsIP, w.lbIP = "127.71."+low, "127.72."+low
	w.dns = primarytest.New(t, primarytest.Options{Listen: w.nsIP + ":53", Keys: map[string]string{"calfed": tsig}, Zones: strings.NewReplacer("{ns}", w.nsIP, "{lb}", w.lbIP).Replace(`
example.org. 1 IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 1
example.org. 1 IN NS ns1.example.org.
ns1.example.org. 1 IN A {ns}
calendar.example.org. 1 IN A {lb}
`)})
	var err error
	if w.ca, err = catest.New(); err != nil {
		t.Fatal(err)
	}
	w.make(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNS}})
	w.operators = w.cluster.Kubelet(t, systemNS)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, w.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	chart := deploytest.Chart(t, systemNS, "--set", "resolver="+w.nsIP+":53,probeCIDRs={127.0.0.0/8},dnsUpdateCIDRs={127.0.0.0/8},crds.install=false")
	w.cluster.Kubectl(t, chart, "apply", "--server-side", "-f", "-")
	w.cluster.Kubectl(t, "", "-n", systemNS, "set", "env", "deployment/calfed", "SSL_CERT_FILE="+roots)
	return w
}

func (w *world) make(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.c.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

// namespace makes one, whose pods are run.
func (w *world) namespace(name string) *kubetest.Kubelet {
	w.t.Helper()
	w.make(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return w.cluster.Kubelet(w.t, name)
}

func (w *world) secret(namespace, name string, data map[string]string) {
	w.t.Helper()
	w.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data})
}

// certificate makes a kubernetes.io/tls Secret for names.
func (w *world) certificate(namespace, name string, names ...string) {
	w.t.Helper()
	leaf, err := w.ca.Issue(catest.Leaf{DNS: names})
	if err != nil {
		w.t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": cert, "tls.key": key}})
}

// rsaKey is a new private key; ed25519Key another kind.
func rsaKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func ed25519Key(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// in is the world of a part of the test.
func (w *world) in(t *testing.T) *world {
	part := *w
	part.t = t
	return &part
}

// until waits; says tells what is missing when it does not come.
func (w *world) until(what string, says func() string, done func(ctx context.Context) bool) {
	w.t.Helper()
	w.within(patience, what, says, done)
}

func (w *world) within(d time.Duration, what string, says func() string, done func(ctx context.Context) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	if wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) { return done(ctx), nil }) != nil {
		w.t.Fatalf("it never came to this: %s\n%s", what, says())
	}
}

// notReady lists what of our kinds is not Ready, in words.
func (w *world) notReady(ctx context.Context) []string {
	var out []string
	for _, kind := range []string{v1alpha1.KindFederationGateway, v1alpha1.KindFederatedDomain, v1alpha1.KindDKIMKey, v1alpha1.KindPeerPolicy} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := w.c.List(ctx, list); err != nil {
			return []string{err.Error()}
		}
		for i := range list.Items {
			item := &list.Items[i]
			var object struct {
				Status struct {
					ObservedGeneration int64
					Conditions         []metav1.Condition
				}
			}
			raw, _ := json.Marshal(item.Object)
			_ = json.Unmarshal(raw, &object)
			ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Status != metav1.ConditionTrue || object.Status.ObservedGeneration != item.GetGeneration() {
				out = append(out, fmt.Sprintf("%s %s/%s: %+v", kind, item.GetNamespace(), item.GetName(), object.Status.Conditions))
			}
		}
	}
	return out
}

// balance passes connections to port 443 of an address on to the pods of a gateway, in turn, as a load balancer does.
func (w *world) balance(address, namespace, gateway string) {
	w.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", address+":443")
	if err != nil {
		w.t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for turn := 0; ; turn++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				ready := w.pods(context.Background(), namespace, gateway)
				if len(ready) == 0 {
					return
				}
				up, err := net.Dial("tcp", ready[turn%len(ready)]+":8443")
				if err != nil {
					return
				}
				defer up.Close()
				go func() { _, _ = io.Copy(up, conn); _ = up.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(conn, up)
			})
		}
	})
	w.t.Cleanup(func() { _ = ln.Close() })
}

// pods are the addresses of a gateway's pods that are ready.
func (w *world) pods(ctx context.Context, namespace, gateway string) []string {
	var pods corev1.PodList
	_ = w.c.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/instance": gateway})
	var ready []string
	for _, p := range pods.Items {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				ready = append(ready, p.Status.PodIP)
			}
		}
	}
	return ready
}

// externalDNS does what external-dns does with DNSEndpoints: their records into the zone, once.
func (w *world) externalDNS(ctx context.Context) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "externaldns.k8s.io", Version: "v1alpha1", Kind: "DNSEndpointList"})
	if err := w.c.List(ctx, list); err != nil {
		w.t.Fatal(err)
	}
	for _, item := range list.Items {
		var object struct {
			Spec struct {
				Endpoints []struct {
					DNSName    string
					RecordType string
					Targets    []string
				}
			}
		}
		raw, _ := json.Marshal(item.Object)
		if err := json.Unmarshal(raw, &object); err != nil {
			w.t.Fatal(err)
		}
		for _, e := range object.Spec.Endpoints {
			for _, target := range e.Targets {
				w.set(e.DNSName, e.RecordType, target)
			}
		}
	}
}

// set writes one record as an administrator.
func (w *world) set(name, rrtype, data string) {
	if rrtype == "TXT" {
		data = strings.Trim(data, `"`)
		var quoted []string
		for len(data) > 255 {
			quoted, data = append(quoted, `"`+data[:255]+`"`), data[255:]
		}
		data = strings.Join(append(quoted, `"`+data+`"`), " ")
	}
	w.dns.Set(w.t, fmt.Sprintf("%s. 1 IN %s %s\n", strings.TrimSuffix(name, "."), rrtype, data))
}

// asTold sets the records that status shows to those who publish by hand, and proofs of ownership.
func (w *world) asTold(ctx context.Context) {
	var list v1alpha1.FederatedDomainList
	if err := w.c.List(ctx, &list); err != nil {
		w.t.Fatal(err)
	}
	for _, d := range list.Items {
		if o := d.Status.Ownership; o != nil && len(w.dns.Records(o.Name, "TXT")) == 0 {
			w.set(o.Name, "TXT", o.Value)
		}
		for _, r := range d.Status.Records {
			if d.Spec.Publish != nil && r.Type != "CNAME" {
				continue
			}
			if len(w.dns.Records(r.Name, r.Type)) == 0 {
				w.set(r.Name, r.Type, r.Expected)
			}
		}
	}
}
