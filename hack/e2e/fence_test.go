//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What may reach pods of ours is bounded by NetworkPolicies. Whether the cluster enforces any is tried first, with a pod and a policy that
// are the test's own.
func TestNetworkPolicies(t *testing.T) {
	w := shared(t)
	west, east := staying(t, w.running(t, "west")), staying(t, w.running(t, "east"))
	var operators corev1.PodList
	if err := w.c.List(t.Context(), &operators, client.InNamespace(systemNS), client.MatchingFields{"status.phase": "Running"}); err != nil {
		t.Fatal(err)
	}
	operator := staying(t, operators.Items).Status.PodIP
	attempts := []struct {
		from, to string
		dial     func(ctx context.Context) error
		open     bool
	}{
		{"a stranger", "https of a gateway", w.fromStranger(west.Status.PodIP, 8443), true},
		{"a stranger", "submit of a gateway", w.fromStranger(west.Status.PodIP, 8080), false},
		{"a stranger", "smtp of a gateway", w.fromStranger(west.Status.PodIP, 2525), false},
		{"a stranger", "admin of a gateway", w.fromStranger(west.Status.PodIP, 8081), false},
		{"a stranger", "status of a gateway", w.fromStranger(west.Status.PodIP, 8444), false},
		{"a pod of another namespace", "https of a gateway", w.fromPod(&east, west.Status.PodIP, 8443), true},
		{"a pod of another namespace", "submit of a gateway", w.fromPod(&east, west.Status.PodIP, 8080), true},
		{"a pod of another namespace", "metrics of the operator", w.fromPod(&east, operator, 8080), true},
		{"a pod of another namespace", "health of the operator", w.fromPod(&east, operator, 8081), false},
	}
	enforced := w.enforces(t, &west)
	if !enforced {
		t.Log("THIS CLUSTER ENFORCES NO NetworkPolicy: a policy of the test's own that lets nobody to a pod kept nobody from it. Only the objects were looked at.")
	}
	for _, a := range attempts {
		err := a.dial(t.Context())
		for try := 1; a.open && err != nil && try < 5; try++ { // one may fail of other things
			err = a.dial(t.Context())
		}
		t.Logf("from %s to %s: %s", a.from, a.to, openOr(err))
		if (err == nil) != a.open && (enforced || a.open) {
			t.Errorf("from %s to %s: want open %t, got %v", a.from, a.to, a.open, err)
		}
	}
	w.checkPolicies(t)
}

// staying is the first of running pods that is not about to end.
func staying(t *testing.T, pods []corev1.Pod) corev1.Pod {
	t.Helper()
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil })
	if i < 0 {
		t.Fatalf("of %d pods all are ending", len(pods))
	}
	return pods[i]
}

func openOr(err error) string {
	if err == nil {
		return "open"
	}
	return "closed (" + err.Error() + ")"
}

// fromStranger connects from an address that is none of a private network.
func (w *world) fromStranger(to string, port int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(nsIP)}, Timeout: 3 * time.Second}
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(to, fmt.Sprint(port)))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// fromPod connects from a gateway pod, with the only program that is there: whatever it is told by what listens, it was let through.
func (w *world) fromPod(pod *corev1.Pod, to string, port int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		out, _ := w.tryKubectl(ctx, "", "-n", pod.Namespace, "exec", pod.Name, "--", "/calfed", "freebusy", "bob@example.net", "--as", "ann@example.org",
			"--submit", fmt.Sprintf("https://%s/", net.JoinHostPort(to, fmt.Sprint(port))), "--timeout", "10s",
			"--ca", "/etc/calfed/status/ca.crt", "--token-file", "/var/run/secrets/kubernetes.io/serviceaccount/namespace")
		for _, heard := range []string{"certificate", "HTTP response to HTTPS client", "tls: "} {
			if strings.Contains(out, heard) {
				return nil
			}
		}
		return fmt.Errorf("%s", strings.TrimSpace(out))
	}
}

const fenced = `
apiVersion: v1
kind: Pod
metadata: {name: listener, namespace: fenced, labels: {app: listener}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: listener
    image: %s
    args: [gateway, --namespace, fenced, --gateway, none, --admin-addr, ":8081", --public-addr, ":8443", --submit-addr, "", --status-addr, "", --data, /data]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
`

const fence = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: fenced}
spec: {podSelector: {matchLabels: {app: listener}}, policyTypes: [Ingress]}
`

// enforces says whether a policy keeps a pod from a listener that it reaches before and after: thrice in a row, as one try may fail of
// other things.
func (w *world) enforces(t *testing.T, from *corev1.Pod) bool {
	t.Helper()
	var d appsv1.Deployment
	if err := w.c.Get(t.Context(), client.ObjectKey{Namespace: systemNS, Name: "calfed"}, &d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.deleteNamespaces(context.Background(), []string{"fenced"}, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	if err := w.deleteNamespaces(t.Context(), []string{"fenced"}); err != nil {
		t.Fatal(err)
	}
	w.namespace(t, "fenced")
	w.apply(t, fmt.Sprintf(fenced, d.Spec.Template.Spec.Containers[0].Image))
	var pod corev1.Pod
	reached := func(when string) {
		t.Helper()
		var last error
		w.until(t, "the listener is reached "+when, func() string { return openOr(last) }, func(ctx context.Context) bool {
			if w.c.Get(ctx, client.ObjectKey{Namespace: "fenced", Name: "listener"}, &pod) != nil || pod.Status.PodIP == "" {
				return false
			}
			last = w.fromPod(from, pod.Status.PodIP, 8081)(ctx)
			return last == nil
		})
	}
	reached("without a policy")
	w.apply(t, fence)
	closed := 0
	for begin := time.Now(); closed < 3 && (closed > 0 || time.Since(begin) < 5*time.Second); { // network plugins take a moment
		if w.fromPod(from, pod.Status.PodIP, 8081)(t.Context()) != nil {
			closed++
		} else {
			closed = 0
		}
	}
	w.kubectl(t, fence, "delete", "-f", "-")
	reached("once the policy is gone")
	return closed == 3
}

// checkPolicies holds the objects against what is meant: ports, and who may come.
func (w *world) checkPolicies(t *testing.T) {
	t.Helper()
	const private = "pods, 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"
	for _, tc := range []struct {
		namespace, name string
		want            []string
	}{
		{"west", "edge", []string{"8443 from all", "8080 2525 from " + private, "8081 8444 from pods"}},
		{systemNS, "calfed", []string{"metrics from all"}},
	} {
		var p networkingv1.NetworkPolicy
		if err := w.c.Get(t.Context(), client.ObjectKey{Namespace: tc.namespace, Name: tc.name}, &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, inWords(p.Spec.Ingress)); diff != "" {
			t.Errorf("NetworkPolicy %s/%s: (-want +got)\n%s", tc.namespace, tc.name, diff)
		}
		var pods corev1.PodList
		if err := w.c.List(t.Context(), &pods, client.InNamespace(tc.namespace), client.MatchingLabels(p.Spec.PodSelector.MatchLabels)); err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) == 0 || len(p.Spec.PolicyTypes) != 1 || p.Spec.PolicyTypes[0] != networkingv1.PolicyTypeIngress {
			t.Errorf("NetworkPolicy %s/%s is on %d pods, %v", tc.namespace, tc.name, len(pods.Items), p.Spec.PolicyTypes)
		}
		t.Logf("NetworkPolicy %s/%s is on %d pods: %s", tc.namespace, tc.name, len(pods.Items), strings.Join(tc.want, "; "))
	}
}

// inWords is one line a rule.
func inWords(rules []networkingv1.NetworkPolicyIngressRule) []string {
	var out []string
	for _, r := range rules {
		var ports, peers []string
		for _, p := range r.Ports {
			ports = append(ports, p.Port.String())
		}
		for _, p := range r.From {
			if p.IPBlock != nil {
				peers = append(peers, p.IPBlock.CIDR)
			} else if p.NamespaceSelector != nil && len(p.NamespaceSelector.MatchLabels)+len(p.NamespaceSelector.MatchExpressions) == 0 && p.PodSelector == nil {
				peers = append(peers, "pods")
			} else {
				peers = append(peers, p.String())
			}
		}
		if len(peers) == 0 {
			peers = []string{"all"}
		}
		out = append(out, strings.Join(ports, " ")+" from "+strings.Join(peers, ", "))
	}
	return out
}
