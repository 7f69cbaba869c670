//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/hack/deploytest"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

var keep = flag.Bool("keep", false, "leave the release and all resources in the cluster; the next run takes them over")

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetLogger(logr.Discard()) // controller-runtime complains on standard error when nobody says anything
	code := m.Run()
	if theWorld != nil && !*keep {
		if err := theWorld.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if theGround != nil {
		theGround.end()
	}
	os.Exit(code)
}

// world is one release of the chart with default values, and two organisations that it serves: west with a Cyrus, east with a DAViCal.
// Each has one more domain, load.west.example and load.east.example, whose back end counts what it is given.
type world struct {
	*ground
	west, east *side
	tally      *tally.Tally // of both load domains
	backend    string       // its URL
	took       struct{ operator, ready time.Duration }
}

var (
	theWorld *world
	broken   bool // the world did not come up: once is enough
)

// shared returns the world, which all tests of the process share. They leave it as they found it, save that the upgrade leaves pods of image :next.
func shared(t *testing.T) *world {
	t.Helper()
	dumpIfFailed(t)
	if broken {
		t.Fatal("the world did not come up in the first test that wanted it")
	}
	if theWorld != nil {
		return theWorld
	}
	broken = true
	w := &world{ground: onGround(t), tally: &tally.Tally{}}
	theWorld = w
	w.west, w.east = newSide("west", "Cyrus"), newSide("east", "DAViCal")
	backend := w.serve(t, w.tally)
	w.ends = append(w.ends, backend.Close)
	w.backend = backend.URL + "/ischedule"
	servers := w.startServers()
	begin := time.Now()
	w.install(t)
	w.took.operator = since(begin)
	for _, s := range w.sides() {
		w.namespace(t, s.name)
		w.secrets(t, s)
	}
	for _, s := range w.sides() {
		w.apply(t, w.manifest(s, w.other(s), w.backend))
	}
	w.addresses(t)
	w.allReady(t)
	w.took.ready = since(begin)
	if err := <-servers; err != nil {
		t.Fatal(err)
	}
	for _, s := range w.sides() {
		w.listening(t, s.public+":443", s.submit+":8080")
		w.reaches(t, s.name, s.submitHost, s.token(), "alice@"+s.load, "bob@"+w.other(s).load)
	}
	broken = false
	return w
}

func (w *world) sides() []*side { return []*side{w.west, w.east} }

func (w *world) other(s *side) *side {
	if s == w.west {
		return w.east
	}
	return w.west
}

// install installs the chart with default values, and waits until the operator is ready.
func (w *world) install(t *testing.T) {
	t.Helper()
	w.namespace(t, systemNS)
	begin := time.Now()
	w.helm(t, "upgrade", "--install", "calfed", chart, "--namespace", systemNS, "--create-namespace")
	t.Logf("helm is done after %s", since(begin))
	w.kubectl(t, "", "-n", systemNS, "rollout", "status", "deployment/calfed", "--timeout=120s")
	t.Logf("the operator is ready after %s", since(begin))
}

// namespace makes one in which pods must be restricted. It goes with the world; one that is still going from another run is waited for.
func (g *ground) namespace(t testing.TB, name string) {
	t.Helper()
	g.until(t, "namespace "+name+" of another run is gone", func() string { return "" }, func(ctx context.Context) bool {
		var ns corev1.Namespace
		err := g.c.Get(ctx, client.ObjectKey{Name: name}, &ns)
		return apierrors.IsNotFound(err) || err == nil && ns.DeletionTimestamp == nil
	})
	g.namespaces = append(g.namespaces, name)
	g.apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+", labels: {"+mark+": \"\", pod-security.kubernetes.io/enforce: restricted}}}")
	g.hasServiceAccount(t, name)
}

// hasServiceAccount waits until a namespace has the ServiceAccount without which it takes no pods.
func (g *ground) hasServiceAccount(t testing.TB, namespace string) {
	t.Helper()
	g.until(t, "namespace "+namespace+" has a ServiceAccount for pods", func() string { return "" }, func(ctx context.Context) bool {
		return g.c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{}) == nil
	})
}

// addresses sets the A records of the gateways once their Services have addresses.
func (w *world) addresses(t *testing.T) {
	t.Helper()
	for _, s := range w.sides() {
		s.public, s.submit = w.serviceIP(t, s.name, "edge"), w.serviceIP(t, s.name, "edge-submit")
		w.Set(t, s.host, "A", s.public)
		w.Set(t, s.submitHost, "A", s.submit)
		s.split.Set(t, fmt.Sprintf("%s. 1 IN A %s\n", s.submitHost, s.submit))
	}
}

// serviceIP waits for a Service and returns its ClusterIP.
func (g *ground) serviceIP(t testing.TB, namespace, name string) string {
	t.Helper()
	var service corev1.Service
	g.until(t, "there is a Service "+name, func() string { return "" }, func(ctx context.Context) bool {
		return g.c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &service) == nil && service.Spec.ClusterIP != ""
	})
	return service.Spec.ClusterIP
}

// allReady publishes what status says to publish, and waits until all is Ready. Where an earlier run left resources (-keep), they are
// looked at anew: our name server has forgotten what was published.
func (w *world) allReady(t *testing.T) {
	t.Helper()
	if *keep {
		for _, s := range w.sides() {
			w.kubectl(t, "", "-n", s.name, "annotate", "fdom,dkey", "--all", "--overwrite", v1alpha1.AnnotationResetBackoff+"="+time.Now().String())
		}
	}
	w.publishUntilReady(t, w.west.name, w.east.name)
}

func (g *ground) publishUntilReady(t testing.TB, namespaces ...string) {
	t.Helper()
	g.until(t, "every resource is Ready", func() string {
		return strings.Join(g.notReady(context.Background(), namespaces...), "\n")
	}, func(ctx context.Context) bool {
		g.AsTold(ctx, t)
		return len(g.notReady(ctx, namespaces...)) == 0
	})
}

// remove takes all of it away, in the order that the chart's manual says.
func (w *world) remove() error {
	defer func() { theWorld = nil }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.uninstall(ctx, map[string]string{systemNS: "calfed"})
}

// uninstall removes resources, releases (names by their namespaces), definitions, and all namespaces of tests, whatever of it fails. Only
// for the end of pods it does not wait.
func (g *ground) uninstall(ctx context.Context, releases map[string]string) error {
	var failed []error
	did := func(what, out string, err error) {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w\n%s", what, err, out))
		}
	}
	out, err := g.tryKubectl(ctx, "", "delete", "calfed", "--all", "--all-namespaces", "--timeout=3m")
	did("delete the resources", out, err)
	for ns, name := range releases {
		out, err := deploytest.RunHelm(ctx, g.kubeconfig, "uninstall", name, "--namespace", ns)
		did("helm uninstall "+name, out, err)
	}
	out, err = g.tryKubectl(ctx, "", "delete", "crd", "--selector", "app.kubernetes.io/name=calfed", "--timeout=3m")
	did("delete the definitions", out, err)
	out, err = g.tryKubectl(ctx, "", "delete", "namespace", "--selector", mark, "--wait=false")
	did("delete namespaces", out, err)
	g.namespaces = nil
	return errors.Join(failed...)
}
