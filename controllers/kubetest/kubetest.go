// Package kubetest runs a real Kubernetes API server for tests: etcd and kube-apiserver, and where asked for the controllers of
// kube-controller-manager and a kubelet of its own that runs the real calfed gateway process where a pod would be.
package kubetest

import (
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	_ "sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Cluster is a control plane under test.
type Cluster struct {
	Config *rest.Config  // of an administrator
	Client client.Client // uncached, knows our kinds, the core ones and the neighbours'
}

// Options of a Cluster; the zero value is etcd and kube-apiserver with our CustomResourceDefinitions.
type Options struct {
	ControllerManager bool // garbage collection, namespace termination, ReplicaSets
	Neighbours        bool // the CustomResourceDefinitions of Gateway API, cert-manager, Prometheus Operator and external-dns
	Audit             bool // see Cluster.Requests
}

// Main runs the tests of a package and stops what Shared started: os.Exit(kubetest.Main(m)).
func Main(m *testing.M) int { panic("not written yet") }

// Shared returns the cluster that all tests of the package share, with everything but Audit. Each test uses a namespace of its
// own. It builds the programs when they are not there (hack/cluster/build.sh), or takes those of KUBEBUILDER_ASSETS.
func Shared(t testing.TB) *Cluster { panic("not written yet") }

// New starts a cluster for one test: to stop and start it, say.
func New(t testing.TB, opt Options) *Cluster { panic("not written yet") }

// Namespace makes a namespace with a name of its own, and removes it at the end of the test.
func (c *Cluster) Namespace(t testing.TB) string { panic("not written yet") }

// Kubectl runs kubectl as administrator with what stands on standard input, and returns what it printed; a failure fails
// the test.
func (c *Cluster) Kubectl(t testing.TB, stdin string, args ...string) string {
	panic("not written yet")
}

// As returns the configuration of a ServiceAccount, whose rights are those RBAC gives it.
func (c *Cluster) As(t testing.TB, namespace, serviceAccount string) *rest.Config {
	panic("not written yet")
}

// StopAPIServer kills the API server; StartAPIServer starts it again, at the same address, with the same data.
func (c *Cluster) StopAPIServer(t testing.TB) { panic("not written yet") }

// StartAPIServer starts it again and waits until it answers.
func (c *Cluster) StartAPIServer(t testing.TB) { panic("not written yet") }

// Request is one kind of request that a user made: what an RBAC rule would allow.
type Request struct{ User, Verb, Group, Resource, Subresource, Namespace, Name string }

// Requests returns the different requests since the start, from the audit log.
func (c *Cluster) Requests(t testing.TB) []Request { panic("not written yet") }

// Kubelet runs pods of a namespace until the end of the test: for every pod of a Deployment that has a container with the command
// calfed gateway it starts the real process, on a loopback address of its own, which is the pod's address; the volumes, the token and
// the ports are those of the pod; its probes decide about its conditions; deleting the pod sends SIGTERM and, after the grace
// period, kills. It needs Options.ControllerManager.
func (c *Cluster) Kubelet(t testing.TB, namespace string) *Kubelet { panic("not written yet") }

// Kubelet runs the pods of a namespace.
type Kubelet struct{}

// Restart kills the process of a pod's container and starts it again in the same pod: its emptyDir volumes stay.
func (k *Kubelet) Restart(t testing.TB, pod string) { panic("not written yet") }

// Freeze stops a pod's process (SIGSTOP), so that it answers nobody; Thaw lets it go on.
func (k *Kubelet) Freeze(t testing.TB, pod string) { panic("not written yet") }

// Thaw lets a frozen pod go on.
func (k *Kubelet) Thaw(t testing.TB, pod string) { panic("not written yet") }

// Logs returns what a pod's process wrote.
func (k *Kubelet) Logs(pod string) string { panic("not written yet") }
