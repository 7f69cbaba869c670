//go:build interop

// Package operator runs the whole operator on a real API server: installed by the Helm chart, with the rights that gives, its pods
// the real processes; a real primary name server; and the test as administrator, external-dns, load balancer and peer.
//
// It needs root, for ports below 1024 of loopback addresses.
package operator_test

import (
	"context"
	"encoding/json"
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/admintest"
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
	*admintest.Admin
	t         *testing.T
	cluster   *kubetest.Cluster
	operators *kubetest.Kubelet
	nsIP      string // of the name server, and where the load balancer listens
	lbIP      string
}

// newWorld starts everything but the resources.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, cluster: kubetest.New(t, kubetest.Options{ControllerManager: true, Neighbours: true})}
	low := fmt.Sprintf("%d.%d", os.Getpid()>>8&255, os.Getpid()&255)
	w.nsIP, w.lbIP = "127.71."+low, "127.72."+low
	dns := primarytest.New(t, primarytest.Options{Listen: w.nsIP + ":53", Keys: map[string]string{"calfed": tsig}, Zones: strings.NewReplacer("{ns}", w.nsIP, "{lb}", w.lbIP).Replace(`
example.org. 1 IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 1
example.org. 1 IN NS ns1.example.org.
ns1.example.org. 1 IN A {ns}
calendar.example.org. 1 IN A {lb}
`)})
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	w.Admin = &admintest.Admin{Client: w.cluster.Client, DNS: dns, CA: ca}
	w.Put(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNS}})
	w.operators = w.cluster.Kubelet(t, systemNS)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, w.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	chart := deploytest.Chart(t, systemNS, "--set", "resolver="+w.nsIP+":53,probeCIDRs={127.0.0.0/8},dnsUpdateCIDRs={127.0.0.0/8},crds.install=false")
	w.cluster.Kubectl(t, chart, "apply", "--server-side", "-f", "-")
	w.cluster.Kubectl(t, "", "-n", systemNS, "set", "env", "deployment/calfed", "SSL_CERT_FILE="+roots)
	return w
}

// namespace makes one, whose pods are run.
func (w *world) namespace(name string) *kubetest.Kubelet {
	w.t.Helper()
	w.Put(w.t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return w.cluster.Kubelet(w.t, name)
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
	admintest.Within(w.t, d, what, says, done)
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
				ready := w.Pods(context.Background(), namespace, gateway)
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

// externalDNS does what external-dns does with DNSEndpoints: their records into the zone, once.
func (w *world) externalDNS(ctx context.Context) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "externaldns.k8s.io", Version: "v1alpha1", Kind: "DNSEndpointList"})
	if err := w.Client.List(ctx, list); err != nil {
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
				w.Set(w.t, e.DNSName, e.RecordType, target)
			}
		}
	}
}

// key is a new private key.
func key(t *testing.T, algorithm string) string {
	t.Helper()
	private, _ := admintest.Key(t, algorithm)
	return private
}
