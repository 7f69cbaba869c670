package compile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
)

func messagesOf(findings []compile.Finding, reason string) []string {
	var out []string
	for _, f := range findings {
		if f.Reason == reason {
			out = append(out, f.Kind+" "+f.Name+" "+f.Field+": "+f.Message)
		}
	}
	return out
}

func TestCertificateOutOfItsTimeIsReported(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		now  time.Time
		want string
	}{
		"expired":             {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), "has expired"},
		"not valid yet":       {time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), "is not valid yet"},
		"valid":               {now, ""},
		"nobody knows a time": {time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, _ := readInput(t, "gateway-minimal")
			in.Now = tc.now
			out := compile.Compile(in)
			if out.Snapshot == nil {
				t.Error("a warning must not take the gateway off the air")
			}
			got := strings.Join(messagesOf(out.Findings, v1alpha1.ReasonExpired), "\n")
			if !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
				t.Errorf("findings %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWhatIsLeftOutIsNotCalledMissing(t *testing.T) {
	t.Parallel()
	in, gateways := readInput(t, "domain-every-field")
	for _, k := range in.Keys {
		in.LeftOut = append(in.LeftOut, compile.Object{Kind: v1alpha1.KindDKIMKey, Namespace: k.Namespace, Name: k.Name})
	}
	for _, s := range in.Secrets {
		in.LeftOut = append(in.LeftOut, compile.Object{Kind: "Secret", Namespace: s.Namespace, Name: s.Name})
	}
	in.LeftOut = append(in.LeftOut, compile.Object{Kind: v1alpha1.KindFederationGateway, Namespace: "default", Name: "edge"})
	in.Keys, in.Secrets = nil, nil
	gateways = slices.DeleteFunc(slices.Clone(gateways), func(g v1alpha1.FederationGateway) bool { return g.Name == "edge" })

	got := messagesOf(append(compile.Compile(in).Findings, compile.Dangling(gateways, in)...), v1alpha1.ReasonRefNotFound)
	for _, kind := range []string{"FederationGateway", "DKIMKey", "Secret"} {
		if !slices.ContainsFunc(got, func(m string) bool {
			return strings.Contains(m, ": "+kind+" ") && strings.HasSuffix(m, "has an error of its own and is left out: mend that first")
		}) {
			t.Errorf("no finding about the %s that is left out: %q", kind, got)
		}
	}
	for _, m := range got {
		if strings.Contains(m, "does not exist") && !strings.Contains(m, "ConfigMap") {
			t.Errorf("called missing: %s", m)
		}
	}
}

func TestNothingIsCalledUnusedWhileADomainCouldNotBeRead(t *testing.T) {
	t.Parallel()
	in, gateways := readInput(t, "domain-every-field")
	in.Domains = nil
	if got := messagesOf(compile.Dangling(gateways, in), v1alpha1.ReasonUnused); len(got) == 0 {
		t.Fatal("without domains nothing is called unused")
	}
	in.LeftOut = []compile.Object{{Kind: v1alpha1.KindFederatedDomain, Namespace: "default", Name: "example-org"}}
	if got := messagesOf(compile.Dangling(gateways, in), v1alpha1.ReasonUnused); len(got) > 0 {
		t.Errorf("%q", got)
	}

	in, _ = readInput(t, "gateway-every-field")
	if got := messagesOf(compile.Compile(in).Findings, v1alpha1.ReasonUnused); len(got) != 1 {
		t.Fatalf("a way in for mail that nobody can use: %q", got)
	}
	in.LeftOut = []compile.Object{{Kind: v1alpha1.KindFederatedDomain, Namespace: "default", Name: "left-out"}}
	if got := messagesOf(compile.Compile(in).Findings, v1alpha1.ReasonUnused); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// A draft tells what a gateway with a mistake would serve; nobody can take it for a snapshot.
func TestDraftOfAGatewayThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	in, _ := readInput(t, "domain-every-field")
	whole := compile.Compile(in)
	if whole.Draft != whole.Snapshot {
		t.Error("the draft of what compiles is not its snapshot")
	}
	in.Gateway = in.Gateway.DeepCopy()
	in.Gateway.Spec.TLS.Secret.Name = "none"
	out := compile.Compile(in)
	if out.Snapshot != nil {
		t.Fatal("a gateway without a certificate compiled")
	}
	if out.Draft.Gateway.Host != whole.Snapshot.Gateway.Host || len(out.Draft.Domains) != len(whole.Snapshot.Domains) {
		t.Errorf("the draft lacks what the mistake does not touch: %+v", out.Draft)
	}
}
