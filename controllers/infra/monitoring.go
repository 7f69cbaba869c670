package infra

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// serviceMonitor has the pods scraped through the Service {gateway}-submit: no other has the port.
func serviceMonitor(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	m := &monitoringv1.ServiceMonitor{Spec: monitoringv1.ServiceMonitorSpec{
		Selector:  *podSelector(gw), // the Services carry the labels too
		Endpoints: []monitoringv1.Endpoint{{Port: portAdmin}},
	}}
	m.Labels = monitoringLabels(gw)
	return m
}

func monitoringLabels(gw *v1alpha1.FederationGateway) map[string]string {
	if gw.Spec.Monitoring == nil {
		return nil
	}
	return gw.Spec.Monitoring.Labels
}

// alert is a rule; SERIES in the expression stands for the labels of the gateway's series.
type alert struct {
	name, severity, wait, expr string
	summary, action            string // the action says what to look at first
}

var alerts = []alert{
	{
		"CalfedGatewayDown", "critical", "5m",
		`absent(up{SERIES} == 1)`,
		"No pod of the gateway answers",
		"Other organisations cannot deliver. kubectl describe fgw says what is wrong; then look at the pods' events and logs.",
	},
	{
		"CalfedCertificateExpires", "critical", "1h",
		`min(calfed_certificate_expires_timestamp_seconds{SERIES}) - time() < 7 * 86400`,
		"The gateway's certificate ends within a week",
		"Renew it in the Secret of spec.tls; with cert-manager, look at the conditions of the Certificate. Peers refuse to connect once it has ended.",
	},
	{
		"CalfedConfigurationStale", "warning", "15m",
		`max(calfed_configuration_stale{SERIES}) == 1`,
		"A pod serves an older configuration than there is",
		"kubectl describe fgw names the pods and what they refuse; /readyz at their admin port says it too.",
	},
	{
		"CalfedSnapshotRejected", "warning", "",
		`sum(increase(calfed_snapshots_rejected_total{SERIES}[15m])) > 0`,
		"A pod refused a configuration",
		"The last good one is served on. The condition Programmed of the gateway says what is wrong with the new one.",
	},
	{
		"CalfedBackendsFail", "warning", "15m",
		`sum(rate(calfed_receiver_requests_total{SERIES,result="failed"}[15m])) / sum(rate(calfed_receiver_requests_total{SERIES}[15m])) > 0.05`,
		"More than one in twenty messages from other organisations cannot be delivered",
		"Our calendar servers do not take them. The condition BackendReachable of each FederatedDomain says which; the gateway's log has the reason codes.",
	},
	{
		"CalfedPeersUnreachable", "warning", "1h",
		`sum(rate(calfed_sender_requests_total{SERIES,outcome="transient"}[30m])) / sum(rate(calfed_sender_requests_total{SERIES}[30m])) > 0.5`,
		"More than half of what is sent does not arrive for now",
		"When it is every peer, look at our own way out: DNS, firewall, NetworkPolicy. calfed check DOMAIN shows how far one gets.",
	},
	{
		"CalfedConnectionsRefused", "warning", "15m",
		`sum(rate(calfed_http_connections_refused_total{SERIES,bound="total"}[5m])) > 0`,
		"A pod has as many connections as it may have, and refuses more",
		"More replicas, or a larger spec.limits.maxConnections with the memory for it; an attack shows in calfed_receiver_requests_total by reason.",
	},
	{
		"CalfedReplayMemoryFills", "warning", "5m",
		`max(calfed_receiver_replay_memory_used_ratio{SERIES}) > 0.8`,
		"A pod remembers nearly as many delivered messages as it may",
		"Full, it answers 503 (replay-unavailable), and peers send again later. More replicas; a peer without x= in its signatures is remembered nine times as long as others.",
	},
	{
		"CalfedPanic", "warning", "",
		`sum(increase(calfed_http_panics_total{SERIES}[1h])) > 0`,
		"A request made the gateway panic",
		"It cost that request only, and it is a bug: please report it with the stack from the log.",
	},
}

func prometheusRule(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	series := fmt.Sprintf("namespace=%q,service=%q", gw.Namespace, gw.Name+suffixSubmit)
	group := monitoringv1.RuleGroup{Name: "calfed.rules"}
	for _, a := range alerts {
		rule := monitoringv1.Rule{
			Alert:  a.name,
			Expr:   intstr.FromString(strings.ReplaceAll(a.expr, "SERIES", series)),
			Labels: map[string]string{"severity": a.severity, "gateway": gw.Name},
			Annotations: map[string]string{
				"summary":     fmt.Sprintf("%s (FederationGateway %s/%s)", a.summary, gw.Namespace, gw.Name),
				"description": a.action,
			},
		}
		if a.wait != "" {
			rule.For = new(monitoringv1.Duration(a.wait))
		}
		group.Rules = append(group.Rules, rule)
	}
	r := &monitoringv1.PrometheusRule{Spec: monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{group}}}
	r.Labels = monitoringLabels(gw)
	return r
}
