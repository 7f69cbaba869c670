//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/hack/metricstest"
	"github.com/calfed/calfed/hack/tenanttest"
)

// domainsPerPolicy is how many domains there are to a PeerPolicy of the tenants.
const domainsPerPolicy = 5

// longest is how long an operator may take for all that is new to it.
const longest = time.Hour

const operatorPods = "app.kubernetes.io/name=calfed,app.kubernetes.io/component=manager"

// domains measures the operator and a gateway pod by the number of domains. To each number the operator starts anew, with all
// that was added unknown to it; then the gateway pod does.
func (m *measured) domains(t *testing.T) {
	m.kubectl(t, "", "-n", southNS, "patch", "fgw/edge", "--type=merge", "--patch", `{"spec":{"replicas":1}}`)
	out := newTable(t, "domains", "limit", "operator: to serving s", "to Ready s", "to all Programmed s", "to rest s", "CPU s till then", "working set at most MiB",
		"peak MiB", "at rest MiB", "at rest CPU", "gateway pod: to serving s", "to Ready s", "CPU s", "working set at most MiB", "peak MiB", "at rest MiB", "at rest CPU", "load average")
	had := 0
	for _, a := range amounts(t) {
		out.add(m.atAmount(t, a, had)...)
		had = a.domains
	}
	out.show()
}

func (m *measured) atAmount(t *testing.T, a amount, had int) []string {
	t.Helper()
	if a.memory != "" {
		m.kubectl(t, "", "-n", southNS, "patch", "fgw/edge", "--type=merge", "--patch",
			fmt.Sprintf(`{"spec":{"podTemplate":{"resources":{"limits":{"memory":%q}}}}}`, a.memory))
		m.helm(t, "upgrade", "calfed", chart, "--namespace", systemNS, "--reset-then-reuse-values", "--set", "resources.limits.memory="+a.memory)
		m.kubectl(t, "", "-n", systemNS, "rollout", "status", "deployment/calfed", "--timeout=300s")
		m.until(t, "the gateway's pods have the limit", func() string { return "" }, func(ctx context.Context) bool {
			pods := m.gatewayPods(ctx, t, southNS)
			return len(pods) == 1 && pods[0].Spec.Containers[0].Resources.Limits.Memory().String() == a.memory && podReady(&pods[0])
		})
	}
	m.kubectl(t, "", "-n", systemNS, "scale", "deployment/calfed", "--replicas=0")
	m.kubectl(t, "", "-n", systemNS, "wait", "--for=delete", "pod", "--selector", operatorPods, "--timeout=60s")
	began := time.Now()
	provider := tenanttest.Provider{Gateway: m.gateway, Domains: a.domains, Policies: a.domains / domainsPerPolicy}
	if err := provider.Make(t.Context(), m.c, had); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d domains made in %s", a.domains-had, since(began))

	var operator *start
	var programmed, rested time.Duration
	most := m.meanwhile(t, func() {
		operator = m.starts(t, systemNS, operatorPods, func() {
			m.kubectl(t, "", "-n", systemNS, "scale", "deployment/calfed", "--replicas=1")
		})
		m.serving(t, a.domains+m.ownDomains(t), 1)
		m.within(t, longest, "every FederatedDomain is Programmed", func() string { return "" }, func(ctx context.Context) bool {
			m.notRestarted(ctx, t, systemNS)
			done, err := tenanttest.Programmed(ctx, m.c)
			return err == nil && done
		})
		programmed = time.Since(operator.created)
		m.within(t, longest, "the operator has nothing left to do but looks at DNS", func() string { return "" }, func(ctx context.Context) bool {
			raw, err := m.kube.CoreV1().RESTClient().Get().Namespace(systemNS).Resource("pods").Name(operator.name + ":8080").SubResource("proxy").Suffix("metrics").DoRaw(ctx)
			sums := metricstest.Sums(bytes.NewReader(raw))
			return err == nil && sums["calfed_manager_compile_seconds_count"] > 0 && sums["workqueue_depth"] == 0
		})
		rested = time.Since(operator.created)
	})
	op := systemNS + "/" + operator.name
	done := m.usedAfter(t, time.Now(), op)[op]

	var pod *start
	var begun usage
	podMost := m.meanwhile(t, func() {
		pod = m.starts(t, southNS, gatewayPods, func() {
			m.kubectl(t, "", "-n", southNS, "delete", "pod", "--selector", gatewayPods, "--wait=false")
		})
		begun = m.usedAfter(t, time.Now(), southNS+"/"+pod.name)[southNS+"/"+pod.name]
		m.serving(t, a.domains+m.ownDomains(t), 1) // the old one is gone
	})
	gw := southNS + "/" + pod.name
	first := m.usedAfter(t, time.Now(), op, gw)
	var second map[string]usage
	atRest := m.meanwhile(t, func() { second = m.usedAfter(t, time.Now().Add(*sizingFor), op, gw) })
	m.notRestarted(t.Context(), t, systemNS)
	m.notRestarted(t.Context(), t, southNS)
	cpu := func(pod string) string {
		return fmt.Sprintf("%.3f", (second[pod].cpu-first[pod].cpu)/second[pod].at.Sub(first[pod].at).Seconds())
	}
	limit := a.memory
	if limit == "" {
		limit = "default"
	}
	s := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
	mib := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	return []string{
		strconv.Itoa(a.domains), limit, s(operator.serves), s(operator.ready), s(programmed), s(rested), fmt.Sprintf("%.1f", done.cpu),
		mib(max(most[op], done.workingSet)), mib(done.peak), mib(atRest[op]), cpu(op),
		s(pod.serves), s(pod.ready), fmt.Sprintf("%.1f", begun.cpu), mib(max(podMost[gw], begun.workingSet)), mib(second[gw].peak), mib(atRest[gw]), cpu(gw), loadAverage(),
	}
}

// ownDomains counts the domains of the gateway that are no tenant's.
func (m *measured) ownDomains(t testing.TB) int {
	t.Helper()
	return len(strings.Fields(m.kubectl(t, "", "-n", southNS, "get", "fdom", "-o", "name")))
}

// serving waits until a gateway has so many pods, no other, and these serve so many domains.
func (m *measured) serving(t testing.TB, domains, pods int) {
	t.Helper()
	m.within(t, longest, fmt.Sprintf("%d pods serve %d domains", pods, domains), func() string {
		return m.kubectl(t, "", "-n", southNS, "get", "fgw,pods", "-o", "wide")
	}, func(ctx context.Context) bool {
		m.notRestarted(ctx, t, systemNS)
		var g v1alpha1.FederationGateway
		if err := m.c.Get(ctx, m.gateway, &g); err != nil {
			return false
		}
		all := m.gatewayPods(ctx, t, southNS)
		for i := range all {
			if !podReady(&all[i]) {
				return false
			}
		}
		return len(all) == pods && g.Status.Snapshot != nil && int(g.Status.Snapshot.Domains) == domains &&
			g.Status.ObservedGeneration == g.Generation && meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionProgrammed)
	})
}
