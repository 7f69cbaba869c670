//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// rates measures gateway pods at work: what a message costs them, how long peers wait, and who else was busy.
func (m *measured) rates(t *testing.T) {
	m.loaders(t)
	var rates []float64
	for _, text := range strings.Split(*sizingRates, ",") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate <= 0 {
			t.Fatalf("-rates: %q is no rate", text)
		}
		rates = append(rates, rate)
	}
	last := rates[len(rates)-1:]
	out := newTable(t, "direction", "keys", "pods", "asked/s", "answered/s", "failed", "late", "p50 ms", "p99 ms",
		"CPU of the gateway", "CPU ms a message", "working set of a pod MiB", "CPU of the peer", "of the back end", "of the API server",
		"machine busy", "load average")
	for _, c := range []struct {
		direction, algorithm string
		pods                 int
		rates                []float64
	}{
		{"in", "ed25519", 1, rates},
		{"in", "rsa-2048", 1, last},
		{"out", "ed25519", 1, rates},
		{"out", "rsa-2048", 1, last},
		{"in", "ed25519", 2, rates},
	} {
		m.kubectl(t, "", "-n", southNS, "patch", "fgw/edge", "--type=merge", "--patch", fmt.Sprintf(`{"spec":{"replicas":%d}}`, c.pods))
		m.serving(t, len(algorithms), c.pods)
		s := m.streams[slices.IndexFunc(m.streams, func(s *stream) bool { return s.name == c.direction+"-"+c.algorithm })]
		for _, rate := range c.rates {
			out.add(append([]string{c.direction, c.algorithm, strconv.Itoa(c.pods), fmt.Sprint(rate)}, m.atRate(t, s, rate)...)...)
		}
	}
	out.show()
	t.Logf("on a machine of %d cores, which pods, peer, back end and the cluster itself share; each rate for %s", runtime.NumCPU(), *sizingFor)
}

// loaders starts the pods that make load, which wait for a rate.
func (m *measured) loaders(t *testing.T) {
	t.Helper()
	var nodes corev1.NodeList
	if err := m.c.List(t.Context(), &nodes); err != nil {
		t.Fatal(err)
	}
	m.node = nodes.Items[len(nodes.Items)-1].Name
	public, submit := m.serviceIP(t, southNS, "edge"), m.serviceIP(t, southNS, "edge-submit")
	common := []string{"--ca", "/etc/peer/ca.pem", "--rate", "0", "--new-connections", "0.05"}
	for _, a := range algorithms {
		us, them := "mailto:bob@"+a+".south.example", "mailto:carol@sender.example"
		m.start(t, "in-"+a, append([]string{"send", "--url", "https://gw.south.example/.well-known/ischedule", "--address", net.JoinHostPort(public, "443"),
			"--key", "/etc/peer/" + a + ".pem", "--domain", "sender.example", "--selector", "load-" + a, "--originator", them, "--recipient", us}, common...))
		m.start(t, "out-"+a, append([]string{"submit", "--url", "https://submit.south.example:8080/", "--address", net.JoinHostPort(submit, "8080"),
			"--token", "/etc/peer/token", "--originator", us, "--recipient", them}, common...))
		m.streams = append(m.streams, &stream{name: "in-" + a}, &stream{name: "out-" + a})
	}
	for _, s := range m.streams {
		m.kubectl(t, "", "-n", peersNS, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+s.name)
	}
}

// atRate measures one rate. Until the kubelet has looked once it warms up. What a message costs is the CPU time from before the first
// message to after the last: what is under way at some moment does not matter.
func (m *measured) atRate(t *testing.T, s *stream, rate float64) []string {
	t.Helper()
	var pods []string
	for _, p := range m.gatewayPods(t.Context(), t, southNS) {
		pods = append(pods, p.Namespace+"/"+p.Name)
	}
	peer := peersNS + "/" + s.name
	all := append([]string{peer}, pods...)
	m.tally.Reset("")
	m.mustAsk(t, s, "POST", "reset")
	idle := m.usedAfter(t, time.Now(), all...)
	m.mustAsk(t, s, "POST", "rate", "per-second", fmt.Sprint(rate))
	first := m.usedAfter(t, time.Now(), all...)
	already := m.mustAsk(t, s, "GET", "report").Answered
	before := m.around(t)
	var second map[string]usage
	most := m.meanwhile(t, func() { second = m.usedAfter(t, time.Now().Add(*sizingFor), all...) })
	answered := float64(m.mustAsk(t, s, "GET", "report").Answered-already) / time.Since(before.at).Seconds()
	after := m.around(t)
	r := m.mustAsk(t, s, "POST", "settle")
	last := m.usedAfter(t, time.Now(), all...)
	if doubled, missing := m.tally.Doubled(r.Run), m.tally.Missing(r.UIDs()); r.Failed+r.Unresolved+len(doubled)+len(missing) > 0 {
		t.Logf("%s at %g/s: %s; doubled %d, lost %d", s.name, rate, r, len(doubled), len(missing))
		for i := range min(3, len(r.Failures)) {
			t.Logf("%+v", r.Failures[i])
		}
	}
	if r.Answered == 0 {
		t.Fatalf("%s: nothing was answered", s.name)
	}
	cores := func(pod string) float64 {
		return (second[pod].cpu - first[pod].cpu) / second[pod].at.Sub(first[pod].at).Seconds()
	}
	var busy, cost, largest float64
	for _, p := range pods {
		busy += cores(p)
		cost += last[p].cpu - idle[p].cpu
		largest = max(largest, most[p])
	}
	test, api, machine := after.cores(before)
	return []string{
		fmt.Sprintf("%.0f", answered), fmt.Sprint(r.Failed), fmt.Sprint(r.Late), fmt.Sprintf("%.1f", r.Latency.P50), fmt.Sprintf("%.1f", r.Latency.P99),
		fmt.Sprintf("%.2f", busy), fmt.Sprintf("%.2f", 1000*cost/float64(r.Answered)), fmt.Sprintf("%.0f", largest),
		fmt.Sprintf("%.2f", cores(peer)), fmt.Sprintf("%.2f", test), fmt.Sprintf("%.2f", api), fmt.Sprintf("%.2f", machine), loadAverage(),
	}
}
