// Package scale measures the operator at the size of a calendar provider: a real API server, the operator and a gateway as the
// processes they are in a cluster, installed by the Helm chart.
//
//	go test ./hack/scale -v -timeout 2h -domains 50000 -policies 10000
package scale_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/hack/deploytest"
	"github.com/calfed/calfed/hack/metricstest"
	"github.com/calfed/calfed/hack/tenanttest"
)

var (
	domains  = flag.Int("domains", 1000, "FederatedDomains, each with an Ed25519 key")
	policies = flag.Int("policies", 200, "PeerPolicies")
)

const (
	gatewayNS = "calfed-edge"
	systemNS  = "calfed-system"
)

var gateway = client.ObjectKey{Namespace: gatewayNS, Name: "edge"}

// TestScale has one gateway answer for many domains of many tenants, changes one of them, and prints what it costs.
func TestScale(t *testing.T) {
	cluster := kubetest.New(t, kubetest.Options{ControllerManager: true, Measuring: true})
	// client-side throttling would measure itself
	config := *cluster.Config
	config.QPS, config.Burst = -1, 0
	c, err := client.New(&config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-20*time.Second))
		defer cancel()
	}
	names, err := dnstest.New("") // knows nothing, at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)

	began := time.Now()
	populate(ctx, t, c)
	t.Logf("%-44s %8.1f s", "objects made", time.Since(began).Seconds())

	operators, pods := cluster.Kubelet(t, systemNS), cluster.Kubelet(t, gatewayNS)
	before := cluster.EtcdReceived(t)
	began = time.Now()
	chart := deploytest.Chart(t, systemNS, "--set", "crds.install=false,resources.limits.memory=1536Mi,log.level=warn", "--set-string", "resolver="+names.Addr())
	cluster.Kubectl(t, chart, "apply", "--server-side", "-f", "-")
	t.Cleanup(func() {
		if t.Failed() { // before the kubelets print what the processes wrote
			t.Log(cluster.Kubectl(t, "", "get", "fgw,deploy,pods", "-A", "-o", "wide"))
			t.Log(cluster.Kubectl(t, "", "describe", "fgw", "-n", gatewayNS))
			t.Log(cluster.Kubectl(t, "", "describe", "fdom", "-n", tenanttest.Namespace(0), "d0"))
		}
	})
	until(ctx, t, func(ctx context.Context) (bool, error) {
		var g v1alpha1.FederationGateway
		if err := c.Get(ctx, gateway, &g); err != nil {
			return false, err
		}
		return g.Status.Snapshot != nil && int(g.Status.Snapshot.Domains) == *domains && meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionProgrammed), nil
	})
	t.Logf("%-44s %8.1f s", "from helm install to the gateway Programmed", time.Since(began).Seconds())
	until(ctx, t, func(ctx context.Context) (bool, error) { return tenanttest.Programmed(ctx, c) })
	t.Logf("%-44s %8.1f s", "to every FederatedDomain Programmed", time.Since(began).Seconds())
	t.Logf("%-44s %8.1f MiB", "sent to etcd meanwhile", mib(cluster.EtcdReceived(t)-before))

	operator, pod := only(ctx, t, c, systemNS), only(ctx, t, c, gatewayNS)
	until(ctx, t, func(context.Context) (bool, error) { return metrics(t, operator)["workqueue_depth"] == 0, nil })
	t.Logf("%-44s %8.1f s", "to nothing left to do but looks at DNS", time.Since(began).Seconds())
	first := metrics(t, operator)
	t.Logf("%-44s %8.1f MiB in %.0f shards", "snapshot written", mib(int64(first["calfed_manager_snapshot_written_bytes_total"])), first["calfed_manager_shards_written_total"])
	t.Logf("%-44s %8.1f s in all, in %.0f turns", "compiled", first["calfed_manager_compile_seconds_sum"], first["calfed_manager_compile_seconds_count"])

	// a change of one domain, from the write to the pod
	before = cluster.EtcdReceived(t)
	began = time.Now()
	var d v1alpha1.FederatedDomain
	if err := c.Get(ctx, client.ObjectKey{Namespace: tenanttest.Namespace(0), Name: "d0"}, &d); err != nil {
		t.Fatal(err)
	}
	old := d.Status.CompiledHash
	d.Spec.Accepts = []v1alpha1.Messages{{Component: v1alpha1.ComponentEvent}}
	if err := c.Update(ctx, &d); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(&d), &d); err != nil {
			return false, err
		}
		return d.Status.CompiledHash != old && meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionProgrammed), nil
	})
	took := time.Since(began)
	last := metrics(t, operator)
	t.Logf("%-44s %8.2f s", "one changed domain, to Programmed in its status", took.Seconds())
	t.Logf("%-44s %8.1f ms", "  compiled in", 1000*(last["calfed_manager_compile_seconds_sum"]-first["calfed_manager_compile_seconds_sum"]))
	shards := last["calfed_manager_shards_written_total"] - first["calfed_manager_shards_written_total"]
	t.Logf("%-44s %8.0f, %.1f KiB with the index", "  shards written", shards, (last["calfed_manager_snapshot_written_bytes_total"]-first["calfed_manager_snapshot_written_bytes_total"])/1024)
	t.Logf("%-44s %8.1f KiB", "  sent to etcd", float64(cluster.EtcdReceived(t)-before)/1024)
	if shards != 1 {
		t.Errorf("a change of one domain wrote %.0f shards, want 1", shards)
	}
	for name, pid := range map[string]int{"operator": operators.PID(t, operator.Name), "gateway": pods.PID(t, pod.Name)} {
		now, peak := memory(t, pid)
		t.Logf("%-44s %8.0f MiB now, %.0f at most", "memory of the "+name, now, peak)
	}
}

// populate makes the tenants, their domains, keys and policies, and the gateway's own objects.
func populate(ctx context.Context, t *testing.T, c client.Client) {
	t.Helper()
	ca, err := catest.New("calendar.example.org")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"calendar.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	one := int32(1)
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNS}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gatewayNS}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: gatewayNS, Name: "edge-cert"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": certificate, "tls.key": key}},
		&v1alpha1.FederationGateway{ObjectMeta: metav1.ObjectMeta{Namespace: gatewayNS, Name: "edge"}, Spec: v1alpha1.FederationGatewaySpec{
			Host: "calendar.example.org", Replicas: &one,
			TLS:            v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "edge-cert"}},
			AllowedDomains: []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: []v1alpha1.HostPattern{"*"}, Proof: v1alpha1.ProofNotRequired}},
		}},
	} {
		if err := c.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	provider := tenanttest.Provider{Gateway: gateway, Domains: *domains, Policies: *policies}
	if err := provider.Make(ctx, c, 0); err != nil {
		t.Fatal(err)
	}
}

func until(ctx context.Context, t *testing.T, done wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, done); err != nil {
		t.Fatal(err)
	}
}

// only is the one pod of a namespace.
func only(ctx context.Context, t *testing.T, c client.Client, namespace string) *corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 {
		t.Fatalf("%d pods in %s, want one", len(list.Items), namespace)
	}
	return &list.Items[0]
}

// metrics reads a pod's: by name, summed up over labels.
func metrics(t *testing.T, pod *corev1.Pod) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + pod.Status.PodIP + ":8080/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return metricstest.Sums(resp.Body)
}

// memory is what a process has resident, in MiB.
func memory(t *testing.T, pid int) (now, peak float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	kib := func(field string) float64 {
		_, rest, _ := strings.Cut(string(text), field+":")
		v, err := strconv.ParseFloat(strings.Fields(rest + " ?")[0], 64)
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		return v / 1024
	}
	return kib("VmRSS"), kib("VmHWM")
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }
