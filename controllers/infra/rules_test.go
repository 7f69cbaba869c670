package infra_test

import (
	"errors"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/pods"
	"github.com/calfed/calfed/gateway/netguard"
)

// made returns the object of a kind, or the one of that name when several are of it, in a cluster with all neighbours.
func made[T any](t *testing.T, gw *v1alpha1.FederationGateway, kind, name string) *T {
	t.Helper()
	for _, o := range objects(t, gw, facts{Optional: []string{"all"}}.facts()) {
		if o.Kind.Kind == kind && o.Name == name && o.Apply != nil {
			out := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Apply.Object, out); err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func everything(name string) *v1alpha1.FederationGateway {
	return &v1alpha1.FederationGateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: strings.Repeat("n", 63), Name: name},
		Spec: v1alpha1.FederationGatewaySpec{
			Host:        "calendar.example.org",
			TLS:         v1alpha1.GatewayTLS{Type: v1alpha1.TLSCertManager, CertManager: &v1alpha1.CertManager{IssuerRef: v1alpha1.IssuerRef{Name: "ca"}}},
			Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: 5},
			Exposure:    &v1alpha1.Exposure{HTTPRoute: &v1alpha1.HTTPRouteExposure{ParentRefs: []v1alpha1.ParentRef{{Name: "shared"}}}},
		},
	}
}

// The longest name that the definition lets a gateway have gives legal names and label values.
func TestTheLongestNameIsLegalEverywhere(t *testing.T) {
	t.Parallel()
	gw := everything("e" + strings.Repeat("-", 50) + "e")
	for _, o := range objects(t, gw, facts{Optional: []string{"all"}}.facts()) {
		check := validation.IsDNS1123Subdomain
		if o.Kind.Kind == "Service" {
			check = validation.IsDNS1035Label
		}
		if problems := check(o.Name); len(problems) > 0 {
			t.Errorf("%s %s: %v", o.Kind.Kind, o.Name, problems)
		}
		for _, value := range o.Apply.GetLabels() {
			if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
				t.Errorf("%s %s: label %s: %v", o.Kind.Kind, o.Name, value, problems)
			}
		}
	}
}

// A pod is told to end before the kubelet kills it, with time for everything between.
func TestThePodEndsInsideItsGracePeriod(t *testing.T) {
	t.Parallel()
	d := made[appsv1.Deployment](t, everything("edge"), "Deployment", "edge")
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	needs := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	for i, arg := range c.Args {
		if arg == "--drain-delay" || arg == "--drain-timeout" {
			d, err := time.ParseDuration(c.Args[i+1])
			if err != nil {
				t.Fatal(err)
			}
			needs += d
		}
	}
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; needs < 35*time.Second || grace <= needs {
		t.Errorf("the end takes %v of %v", needs, grace)
	}
	for _, p := range c.Ports {
		if p.Name == "status" && p.ContainerPort != pods.Port {
			t.Errorf("the status port is %d, and asked for at %d", p.ContainerPort, pods.Port)
		}
	}
}

// No pod can read the key of the authority by which the control plane is known.
func TestPodsSeeTheirOwnSecretsOnly(t *testing.T) {
	t.Parallel()
	gw := everything("edge")
	for _, o := range objects(t, gw, facts{Optional: []string{"all"}}.facts()) {
		text, err := o.Apply.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), infra.StatusCASecret("edge")) {
			t.Errorf("%s %s speaks of the Secret with the authority", o.Kind.Kind, o.Name)
		}
	}
}

func TestWhoOwnsTheNumberOfPods(t *testing.T) {
	t.Parallel()
	entry := func(manager string, op metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: op, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	ours := entry("calfed", metav1.ManagedFieldsOperationApply, `{"f:spec":{"f:replicas":{}}}`)
	for name, tt := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   bool
	}{
		"nobody":                      {nil, false},
		"we":                          {[]metav1.ManagedFieldsEntry{ours}, false},
		"an autoscaler":               {[]metav1.ManagedFieldsEntry{entry("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, `{"f:spec":{"f:replicas":{}}}`)}, true},
		"another who applies":         {[]metav1.ManagedFieldsEntry{entry("gitops", metav1.ManagedFieldsOperationApply, `{"f:spec":{"f:replicas":{}}}`)}, true},
		"both":                        {[]metav1.ManagedFieldsEntry{ours, entry("hpa", metav1.ManagedFieldsOperationUpdate, `{"f:spec":{"f:replicas":{}}}`)}, true},
		"somebody else's other field": {[]metav1.ManagedFieldsEntry{ours, entry("kubectl", metav1.ManagedFieldsOperationUpdate, `{"f:spec":{"f:paused":{}}}`)}, false},
		"what is no object":           {[]metav1.ManagedFieldsEntry{{Manager: "a"}, entry("b", metav1.ManagedFieldsOperationUpdate, `[]`)}, false},
	} {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{ManagedFields: tt.fields}}
		if got := infra.Scaled(d, "calfed"); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// Connections of pods are bounded to what the gateway itself would let pass, and never reach a metadata service.
//
// Proves: IS-DISC-10
func TestEgressLeavesOutWhatTheGatewayRefuses(t *testing.T) {
	t.Parallel()
	gw := everything("edge")
	gw.Spec.NetworkPolicy = &v1alpha1.NetworkPolicy{Egress: v1alpha1.Enabled}
	gw.Spec.Egress = &v1alpha1.Egress{BackendCIDRs: []v1alpha1.CIDR{"0.0.0.0/0", "::/0"}}
	var outer, inner []networkingv1.NetworkPolicyPeer
	for _, rule := range made[networkingv1.NetworkPolicy](t, gw, "NetworkPolicy", "edge").Spec.Egress {
		for _, to := range rule.To {
			switch {
			case to.IPBlock == nil:
			case len(rule.Ports) == 2:
				outer = append(outer, to)
			default:
				inner = append(inner, to)
			}
		}
	}
	closed := netguard.New(netguard.Config{})
	for _, except := range exceptions(t, outer) {
		if err := closed.Check(netguard.Peer, netip.AddrPortFrom(except.Addr(), 443)); err == nil {
			t.Errorf("the policy leaves out %v, and the gateway lets it pass", except)
		}
	}
	open := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	metadata := exceptions(t, inner)
	if len(metadata) < 9 {
		t.Errorf("only %v is left out of ranges that the spec opens", metadata)
	}
	for _, except := range metadata {
		var refused *netguard.RefusedError
		if err := open.Check(netguard.Backend, netip.AddrPortFrom(except.Addr(), 443)); !errors.As(err, &refused) || refused.Rule != "metadata" {
			t.Errorf("the policy leaves out %v, and the gateway says %v", except, err)
		}
	}
}

func exceptions(t *testing.T, peers []networkingv1.NetworkPolicyPeer) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, p := range peers {
		for _, s := range p.IPBlock.Except {
			out = append(out, netip.MustParsePrefix(s))
		}
	}
	if len(out) == 0 {
		t.Fatal("nothing is left out")
	}
	return out
}

// Alerts ask for series that there are, and say what to do.
func TestAlertsAreOfUse(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../gateway/README.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`calfed_[a-z_]+`)
	for _, group := range made[monitoringv1.PrometheusRule](t, everything("edge"), "PrometheusRule", "edge").Spec.Groups {
		for _, rule := range group.Rules {
			expr := rule.Expr.String()
			for _, metric := range name.FindAllString(expr, -1) {
				if !strings.Contains(string(manual), "`"+metric+"`") {
					t.Errorf("%s: the manual knows no %s", rule.Alert, metric)
				}
			}
			if !strings.Contains(expr, `service="edge-submit"`) || strings.Contains(expr, "SERIES") || strings.Count(expr, "(") != strings.Count(expr, ")") {
				t.Errorf("%s: %s", rule.Alert, expr)
			}
			if rule.Annotations["summary"] == "" || len(rule.Annotations["description"]) < 40 || rule.Labels["severity"] == "" {
				t.Errorf("%s does not say what is wrong, what to do and how soon", rule.Alert)
			}
		}
	}
}

// What is applied holds nothing that the API server or others are to say.
func TestNothingIsSaidForOthers(t *testing.T) {
	t.Parallel()
	for _, o := range objects(t, everything("edge"), facts{Optional: []string{"all"}}.facts()) {
		for _, field := range [][]string{{"status"}, {"metadata", "creationTimestamp"}, {"metadata", "managedFields"}, {"metadata", "resourceVersion"}} {
			if _, found, _ := unstructured.NestedFieldNoCopy(o.Apply.Object, field...); found {
				t.Errorf("%s %s says %v", o.Kind.Kind, o.Name, field)
			}
		}
	}
}
