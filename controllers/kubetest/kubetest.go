// Package kubetest runs a real Kubernetes API server for tests: etcd and kube-apiserver, and where asked for the controllers of
// kube-controller-manager and a kubelet of its own that runs the real calfed gateway process where a pod would be.
//
// Everything listens on loopback addresses that no other test process has, and ends with the test process, however that ends.
// It needs Linux (any address of 127.0.0.0/8 can be listened on; children are bound to their parent's life) and setpriv(1).
// There is no scheduler, no network between pods but loopback, and nothing that enforces a NetworkPolicy. The API server
// refuses loopback addresses in EndpointSlices, so a Service has none: ask the pods at their addresses.
package kubetest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Cluster is a control plane under test.
type Cluster struct {
	Config *rest.Config  // of an administrator
	Client client.Client // uncached, knows our kinds, the core ones and the neighbours'

	opt      Options
	dir      string // files of this cluster, removed at the end
	lock     *os.File
	programs string
	net      *network
	env      *envtest.Environment
	manager  *process // kube-controller-manager

	calfed  func() (string, error) // builds it, once
	stopped bool                   // the API server
}

// Options of a Cluster; the zero value is etcd and kube-apiserver with our CustomResourceDefinitions.
type Options struct {
	ControllerManager bool // garbage collection, namespace termination, ReplicaSets, autoscaling within its bounds
	Neighbours        bool // the CustomResourceDefinitions of Gateway API, cert-manager, Prometheus Operator and external-dns
	Audit             bool // see Cluster.Requests
	Measuring         bool // calfed is built without the race detector
}

// shared is the cluster of Shared.
var shared struct {
	sync.Mutex
	main    bool // Main runs, so somebody stops it
	cluster *Cluster
	err     error
}

// Main runs the tests of a package and stops what Shared started: os.Exit(kubetest.Main(m)).
func Main(m *testing.M) int {
	log.SetLogger(logr.Discard()) // controller-runtime complains on standard error when nobody says anything
	shared.main = true
	code := m.Run()
	if c := shared.cluster; c != nil {
		if err := c.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "kubetest:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Shared returns the cluster that all tests of the package share, with everything but Audit. Each test uses a namespace of its
// own. It builds the programs when they are not there (hack/cluster/build.sh), or takes those of KUBEBUILDER_ASSETS.
// The package's TestMain has to call Main.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("kubetest.Shared wants func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }")
	}
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = start(Options{ControllerManager: true, Neighbours: true})
	}
	if shared.err != nil {
		t.Fatalf("kubetest: %v", shared.err)
	}
	return shared.cluster
}

// New starts a cluster for one test: to stop and start it, say.
func New(t testing.TB, opt Options) *Cluster {
	t.Helper()
	c, err := start(opt)
	if err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Errorf("kubetest: %v", err)
		}
	})
	return c
}
