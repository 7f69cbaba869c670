//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// peersNS is where the processes that make load run: pods, so that they use Services as any client in a cluster does.
const peersNS = "peers"

// traffic is a steady load on the gateways of west and east, through their Services, from processes of its own:
//
//   - signed: another organisation, sender.example, posts signed messages to the gateway of east;
//   - submitted: a calendar server of west hands messages to its gateway, which signs them and posts them to that of east.
//
// All end at the back end of load.east.example, which counts.
type traffic struct {
	*world
	kube    kubernetes.Interface
	node    string // where its pods are
	streams []*stream
}

type stream struct {
	name string // of the pod
	rate float64
}

var theTraffic *traffic

// underLoad returns the traffic, which goes on from the first test that wants it to the end.
func underLoad(t *testing.T) *traffic {
	t.Helper()
	w := shared(t)
	if theTraffic != nil {
		return theTraffic
	}
	kube, err := kubernetes.NewForConfig(w.config)
	if err != nil {
		t.Fatal(err)
	}
	x := &traffic{world: w, kube: kube, node: w.nodes(t)[0], streams: []*stream{{"signed", 50}, {"submitted", 20}}}
	w.namespace(t, peersNS)
	private, record := admintest.Key(t, "rsa-2048")
	w.Set(t, "load._domainkey.sender.example", "TXT", record)
	w.Secret(t, peersNS, "peer", map[string]string{"key.pem": private, "ca.pem": string(w.CA.PEM()), "token": w.west.token()})
	x.makePeers(t)
	theTraffic = x
	return x
}

// makePeers makes the pods of the load, or makes them anew.
func (x *traffic) makePeers(t testing.TB) {
	t.Helper()
	to := []string{"--recipient", "mailto:bob@" + x.east.load, "--ca", "/etc/peer/ca.pem", "--rate", "0"}
	x.start(t, "signed", append([]string{"send", "--url", "https://" + x.east.host + "/.well-known/ischedule", "--address", net.JoinHostPort(x.east.public, "443"),
		"--key", "/etc/peer/key.pem", "--domain", "sender.example", "--selector", "load", "--originator", "mailto:carol@sender.example"}, to...))
	x.start(t, "submitted", append([]string{"submit", "--url", x.west.submitURL(), "--address", net.JoinHostPort(x.west.submit, "8080"),
		"--token", "/etc/peer/token", "--originator", "mailto:alice@" + x.west.load}, to...))
	for _, s := range x.streams {
		x.kubectl(t, "", "-n", peersNS, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+s.name)
	}
}

// nodes are those that take pods, in the order of their names.
func (g *ground) nodes(t testing.TB) []string {
	t.Helper()
	var list corev1.NodeList
	if err := g.c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range list.Items {
		if !slices.ContainsFunc(n.Spec.Taints, func(taint corev1.Taint) bool { return taint.Effect != corev1.TaintEffectPreferNoSchedule }) {
			out = append(out, n.Name)
		}
	}
	if len(out) < 2 {
		t.Fatalf("%v take pods: these tests want two nodes at least, and for all of them three", out)
	}
	slices.Sort(out)
	return out
}

// start makes a pod of the load, or replaces it.
func (x *traffic) start(t testing.TB, name string, args []string) {
	t.Helper()
	x.kubectl(t, "", "-n", peersNS, "delete", "pod", name, "--ignore-not-found", "--wait", "--grace-period=1")
	yes, no := true, false
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: peersNS, Name: name, Labels: map[string]string{"peer": name}}, Spec: corev1.PodSpec{
		NodeSelector:                 map[string]string{corev1.LabelHostname: x.node},
		RestartPolicy:                corev1.RestartPolicyNever,
		AutomountServiceAccountToken: &no,
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, FSGroup: new(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{
			Name: "peer", Image: "calfed.test/peer:1", Args: args,
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8090)}}},
			VolumeMounts:   []corev1.VolumeMount{{Name: "peer", MountPath: "/etc/peer", ReadOnly: true}},
		}},
		Volumes: []corev1.Volume{{Name: "peer", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "peer", DefaultMode: new(int32(0o440))}}}},
	}}
	if err := x.c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// ask asks the control of a stream, through the API server's proxy, and returns its report.
func (x *traffic) ask(ctx context.Context, s *stream, verb, path string, query ...string) (*load.Report, error) {
	req := x.kube.CoreV1().RESTClient().Verb(verb).Namespace(peersNS).Resource("pods").Name(s.name + ":8090").SubResource("proxy").Suffix(path)
	for i := 0; i < len(query); i += 2 {
		req = req.Param(query[i], query[i+1])
	}
	raw, err := req.DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("peer %s: %s: %w", s.name, path, err)
	}
	var out load.Report
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("peer %s: %s: %w\n%s", s.name, path, err, raw)
	}
	return &out, nil
}

func (x *traffic) mustAsk(t testing.TB, s *stream, verb, path string, query ...string) *load.Report {
	t.Helper()
	out, err := x.ask(t.Context(), s, verb, path, query...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// outcome is what became of the messages of one stream while something happened.
type outcome struct {
	*load.Report
	stream  *stream
	took    time.Duration // what happened
	doubled []string      // messages that the back end got more than once
	missing []string      // messages that were answered well, and that the back end never got
}

// during keeps the load up while something happens, from two seconds before to two seconds after, and tells what became of each message.
func (x *traffic) during(t *testing.T, what string, happens func()) []outcome {
	t.Helper()
	for _, s := range x.streams {
		x.mustAsk(t, s, "POST", "reset")
		x.mustAsk(t, s, "POST", "rate", "per-second", fmt.Sprint(s.rate))
	}
	x.flow(t)
	begin := time.Now()
	happens()
	took := time.Since(begin)
	x.flow(t)
	var out []outcome
	for _, s := range x.streams {
		out = append(out, outcome{Report: x.mustAsk(t, s, "POST", "settle"), stream: s, took: took})
	}
	for i := range out {
		o := &out[i]
		o.doubled, o.missing = x.tally.Doubled(o.Run), x.tally.Missing(o.UIDs())
		t.Logf("%-34s %5.0f s  %-9s sent %5d, answered %5d, failed %d, doubled %d, lost %d; resent %d, late %d; p50 %.1f ms, p99 %.1f ms, max %.0f ms",
			what, took.Seconds(), o.stream.name, o.Sent, o.Answered, o.Failed, len(o.doubled), len(o.missing), o.Resent, o.Late, o.Latency.P50, o.Latency.P99, o.Latency.Max)
	}
	return out
}

// flow waits until each stream has sent for two seconds more.
func (x *traffic) flow(t testing.TB) {
	t.Helper()
	for _, s := range x.streams {
		want := x.mustAsk(t, s, "GET", "report").Sent + int(2*s.rate)
		x.until(t, s.name+" messages flow", func() string { return "" }, func(ctx context.Context) bool {
			r, err := x.ask(ctx, s, "GET", "report")
			return err == nil && r.Sent >= want
		})
	}
}

// nothingLost is what is wanted of everything that is planned.
func nothingLost(t *testing.T, outcomes []outcome) {
	t.Helper()
	for _, o := range outcomes {
		// two seconds before and after; a fifth is for a machine that has much else to do
		if want := int(0.8 * o.stream.rate * (o.took.Seconds() + 4)); o.Sent < want || o.Answered != o.Sent || o.Late > 0 {
			t.Errorf("%s: there was less load than is said: sent %d, want %d; answered %d, late %d", o.stream.name, o.Sent, want, o.Answered, o.Late)
		}
		if o.Failed+o.Unresolved+len(o.doubled)+len(o.missing) == 0 {
			continue
		}
		var said []string
		for i, f := range o.Failures {
			if i == 5 {
				said = append(said, fmt.Sprintf("and %d more", len(o.Failures)-i))
				break
			}
			said = append(said, fmt.Sprintf("%s %s (try %d, %.0f ms): %s", f.At.Format("15:04:05.000"), f.UID, f.Try, f.TookMS, f.Error))
		}
		t.Errorf("%s: failed %d, unresolved %d, doubled %v, lost %v\n%s", o.stream.name, o.Failed, o.Unresolved, o.doubled, o.missing, strings.Join(said, "\n"))
	}
}

// gatewayPods lists the pods of a gateway called edge, those that end included.
func (g *ground) gatewayPods(ctx context.Context, t testing.TB, namespace string) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := g.c.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels(infra.PodLabels("edge"))); err != nil {
		t.Logf("list the pods of %s: %v", namespace, err) // who waits asks again
	}
	return pods.Items
}
