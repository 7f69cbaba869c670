//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/deploytest"
)

const (
	systemNS = "calfed-system"
	chart    = "../../charts/calfed"
	patience = 5 * time.Minute

	// nsIP is where the name server of the test zones answers: an address that the rules take for public, as the operator asks no
	// others by default. The test gives it to its own machine for the time being, and pods reach it by their default route.
	nsIP = "26.53.53.53"

	tsig = "MDEyMzQ1Njc4OWFiY2RlZg==" // what it takes updates with
)

// zones are those of the test's name server. A gateway of a zone has the host gw.ZONE.
var zones = []string{"west.example", "east.example", "sender.example", "south.example", "north.example", "example.org"}

// ground is what every installation stands on: a cluster, and the test as administrator of DNS and of certificates.
type ground struct {
	*admintest.Admin
	c          client.Client
	config     *rest.Config
	kubeconfig string
	hostIP     string   // of this process, as pods reach it: back ends listen there, and the name server, at port 53
	dir        string   // that other users can enter
	namespaces []string // made by tests: removed at the end
	ends       []func()
}

var theGround *ground

// onGround returns the cluster, which all tests of the process share. Nothing of ours is installed there: for that see shared.
func onGround(t *testing.T) *ground {
	t.Helper()
	if theGround != nil {
		return theGround
	}
	g := &ground{kubeconfig: os.Getenv("KUBECONFIG")}
	if g.kubeconfig == "" {
		t.Fatal("KUBECONFIG is not set: see hack/e2e/README.md")
	}
	if err := g.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign, err := g.foreign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(foreign) > 0 {
		t.Fatalf("these tests did not make %s. They end with deleting all resources and definitions of calfed in the cluster, and their namespaces:"+
			" run them on a cluster that has neither, or take those away first.", strings.Join(foreign, ", "))
	}
	if err := g.surround(); err != nil {
		g.end()
		t.Fatal(err)
	}
	begin := time.Now()
	g.hook(t, "load", env("CALFED_IMAGE", "../../bin/calfed-image.tar"), "../../bin/peer-image.tar")
	t.Logf("images are on the nodes after %s", since(begin))
	theGround = g
	return g
}

// connect makes a client, and finds out how nodes reach us.
func (g *ground) connect(ctx context.Context) error {
	var err error
	if g.config, err = clientcmd.BuildConfigFromFlags("", g.kubeconfig); err != nil {
		return err
	}
	g.config.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if g.c, err = client.New(g.config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	var nodes corev1.NodeList
	if err := g.c.List(ctx, &nodes); err != nil {
		return err
	}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type != corev1.NodeInternalIP {
				continue
			}
			conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(a.Address, "9"))
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			g.hostIP, _, err = net.SplitHostPort(conn.LocalAddr().String())
			return err
		}
	}
	return errors.New("no node has an InternalIP")
}

// surround starts what is outside of the cluster and serves every installation.
func (g *ground) surround() error {
	var err error
	if g.dir, err = os.MkdirTemp("", "calfed-e2e-"); err != nil {
		return err
	}
	g.ends = append(g.ends, func() { _ = os.RemoveAll(g.dir) })
	if err := os.Chmod(g.dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "address", "replace", nsIP+"/32", "dev", "lo").CombinedOutput(); err != nil {
		return fmt.Errorf("give %s to this machine (as root): %w\n%s", nsIP, err, out)
	}
	g.ends = append(g.ends, func() { _ = exec.Command("ip", "address", "delete", nsIP+"/32", "dev", "lo").Run() })
	var text strings.Builder
	for _, zone := range zones {
		text.WriteString(strings.NewReplacer("{zone}", zone, "{ns}", nsIP).Replace(`
{zone}. 1 IN SOA ns1.{zone}. admin.{zone}. 1 7200 900 86400 1
{zone}. 1 IN NS ns1.{zone}.
ns1.{zone}. 1 IN A {ns}
`))
	}
	dns, err := primarytest.Start(primarytest.Options{Listen: nsIP + ":53", Also: []string{g.hostIP + ":53"}, Zones: text.String(), Keys: map[string]string{"calfed": tsig}})
	if err != nil {
		return fmt.Errorf("name server: %w", err)
	}
	g.ends = append(g.ends, dns.Stop)
	ca, err := catest.New()
	if err != nil {
		return err
	}
	g.Admin = &admintest.Admin{Client: g.c, DNS: dns, CA: ca}
	return errors.Join(os.WriteFile(g.file("ca.pem"), ca.PEM(), 0o644), os.WriteFile(g.file("resolv.conf"), []byte("nameserver "+nsIP+"\n"), 0o644))
}

// file is the path of a file in the folder of the test.
func (g *ground) file(name string) string { return filepath.Join(g.dir, name) }

func (g *ground) end() {
	for i := len(g.ends) - 1; i >= 0; i-- {
		g.ends[i]()
	}
}

// serve serves a back end, where pods reach it.
func (g *ground) serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	address, err := freePort(g.hostIP)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = ln
	server.Start()
	return server
}

// kubectl runs kubectl as administrator with what stands on standard input, and returns what it printed; a failure fails the test.
func (g *ground) kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := g.tryKubectl(ctx, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (g *ground) tryKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+g.file("kubectl")) // other clusters may have had this address
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// apply applies a manifest, server-side.
func (g *ground) apply(t testing.TB, manifest string) {
	t.Helper()
	g.kubectl(t, manifest, "apply", "--server-side", "--field-manager=administrator", "-f", "-")
}

// helm runs helm on the cluster and returns what it printed; a failure fails the test.
func (g *ground) helm(t testing.TB, args ...string) string {
	t.Helper()
	out, err := deploytest.Helm(t, g.kubeconfig, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// hook runs the program that does to the cluster what Kubernetes cannot: load ARCHIVE..., node-kill NODE, node-up NODE, api-down, api-up.
func (g *ground) hook(t testing.TB, verb string, args ...string) {
	t.Helper()
	program := env("CLUSTER_HOOK", "../cluster/cluster.sh")
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), program, append([]string{verb}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		t.Fatalf("%s has no verb %q, which this test needs; CLUSTER_HOOK names the program\n%s", program, verb, out)
	case err != nil:
		t.Fatalf("%s %s %s: %v\n%s", program, verb, strings.Join(args, " "), err, out)
	}
}

// until waits; says tells what is missing when it does not come.
func (g *ground) until(t testing.TB, what string, says func() string, done func(ctx context.Context) bool) {
	t.Helper()
	g.within(t, patience, what, says, done)
}

func (g *ground) within(t testing.TB, d time.Duration, what string, says func() string, done func(ctx context.Context) bool) {
	t.Helper()
	admintest.Within(t, d, what, says, done)
}

// notReady lists what of our kinds is not Ready in the namespaces, in words.
func (g *ground) notReady(ctx context.Context, namespaces ...string) []string {
	return g.NotReady(ctx, namespaces...)
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// since is for logs.
func since(begin time.Time) time.Duration { return time.Since(begin).Round(100 * time.Millisecond) }
