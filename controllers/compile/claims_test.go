package compile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/snapshot"
)

// wants is a FederatedDomain that claims example.org.
type wants struct {
	id        string // namespace/name
	gateway   string // "" = that which is compiled, default/edge
	age       int64  // more is younger
	condition string // reason of OwnershipProven; "" = none
	gone      bool   // the condition is False: the record was there once
	leaves    bool   // it is being deleted, and a finalizer holds it
	shown     string // the gateway whose challenge the status shows; "" = default/edge
	host      string // of the back end
}

// No namespace gets at a domain that another one is served for, whatever it makes. The gateway is default/edge; it asks the
// namespaces of tenants for proof, and trusts those of friends without.
func TestWhoHasADomain(t *testing.T) {
	t.Parallel()
	const proven, notRequired, missing = v1alpha1.ReasonProven, v1alpha1.ReasonNotRequired, v1alpha1.ReasonProofMissing
	for name, tc := range map[string]struct {
		claims     []wants
		serving    string
		want       string   // who has it
		candidates []string // who would with proof
	}{
		"a tenant needs proof": {
			claims: []wants{{id: "tenant-a/x", condition: missing}}, candidates: []string{"tenant-a/x"},
		},
		"a tenant with proof has it": {
			claims: []wants{{id: "tenant-a/x", condition: proven}}, want: "tenant-a/x",
		},
		"that another gateway asked for no proof is none": {
			claims: []wants{{id: "tenant-a/x", condition: notRequired}}, candidates: []string{"tenant-a/x"},
		},
		"proof for another gateway is none": {
			claims: []wants{{id: "tenant-a/x", condition: proven, shown: "tenant-a/own"}}, candidates: []string{"tenant-a/x"},
		},
		"nor does it push anybody out": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven, shown: "tenant-b/own"}, {id: "friend-a/x", age: 2}}, want: "friend-a/x", candidates: []string{"tenant-b/x"},
		},
		"proof that is gone is none": {
			claims: []wants{{id: "tenant-a/x", condition: proven, gone: true}}, candidates: []string{"tenant-a/x"},
		},
		"a friend needs no proof":              {claims: []wants{{id: "friend-a/x"}}, want: "friend-a/x"},
		"the gateway's namespace needs none":   {claims: []wants{{id: "default/x"}}, want: "default/x"},
		"of one namespace the oldest counts":   {claims: []wants{{id: "default/b", age: 1}, {id: "default/a", age: 2}}, want: "default/b"},
		"of equally old ones the first name":   {claims: []wants{{id: "default/b"}, {id: "default/a"}}, want: "default/a"},
		"served or not":                        {claims: []wants{{id: "default/b", age: 1}, {id: "default/a", age: 2}}, serving: "default/a", want: "default/b"},
		"of a namespace also at other gateway": {claims: []wants{{id: "default/b", age: 1, gateway: "default/other"}, {id: "default/a", age: 2}}},

		"who squats without proof keeps nobody away": {
			claims: []wants{{id: "tenant-b/x", age: 1}, {id: "tenant-a/x", age: 2, condition: proven}}, want: "tenant-a/x", candidates: []string{"tenant-b/x"},
		},
		"nor at a gateway of his own": {
			claims: []wants{{id: "tenant-b/x", age: 1, gateway: "tenant-b/own", condition: notRequired}, {id: "tenant-a/x", age: 2, condition: proven}}, want: "tenant-a/x",
		},
		"nor at a gateway that asks nobody": {
			claims: []wants{{id: "tenant-b/x", age: 1, gateway: "elsewhere/open", condition: notRequired}, {id: "friend-a/x", age: 2}}, want: "friend-a/x",
		},
		"nor from a namespace that is not let in": {
			claims: []wants{{id: "stranger/x", age: 1, condition: proven}, {id: "tenant-a/x", age: 2, condition: proven}}, want: "tenant-a/x",
		},
		"nobody is pushed out by an older object": {
			claims: []wants{{id: "friend-b/x", age: 1}, {id: "friend-a/x", age: 2}}, serving: "friend-a/x", want: "friend-a/x",
		},
		"nor by proof, where it was proven": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven}, {id: "tenant-a/x", age: 2, condition: proven}}, serving: "tenant-a/x", want: "tenant-a/x",
		},
		"nor by proof, out of the gateway's namespace": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven}, {id: "default/x", age: 2}}, serving: "default/x", want: "default/x",
		},
		"nor by the gateway's namespace, where it was proven": {
			claims: []wants{{id: "default/x", age: 1}, {id: "tenant-a/x", age: 2, condition: proven}}, serving: "tenant-a/x", want: "tenant-a/x",
		},
		"nor from another gateway": {
			claims: []wants{{id: "tenant-b/x", age: 1, gateway: "tenant-b/own", condition: proven}, {id: "tenant-a/x", age: 2, condition: proven}}, serving: "tenant-a/x", want: "tenant-a/x",
		},
		"a back end that is refused leaves the name whose it is": {
			claims: []wants{{id: "tenant-b/x", age: 2, condition: proven}, {id: "tenant-a/x", age: 1, condition: proven, host: "db.internal"}},
		},
		"proof takes over what was only trusted": {
			claims: []wants{{id: "tenant-b/x", age: 2, condition: proven}, {id: "friend-a/x", age: 1}}, serving: "friend-a/x", want: "tenant-b/x",
		},
		"and what was proven once the record is gone": {
			claims: []wants{{id: "tenant-b/x", age: 2, condition: proven}, {id: "tenant-a/x", age: 1, condition: proven, gone: true}}, serving: "tenant-a/x",
			want: "tenant-b/x", candidates: []string{"tenant-a/x"},
		},
		"proven twice and new, the older has it": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven}, {id: "tenant-a/x", age: 2, condition: proven}}, want: "tenant-b/x",
		},
		"proven at another gateway, the older has it there": {
			claims: []wants{{id: "tenant-b/x", age: 1, gateway: "tenant-b/own", condition: proven}, {id: "tenant-a/x", age: 2, condition: proven}},
		},
		"who leaves serves on": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven, leaves: true}}, serving: "tenant-b/x", want: "tenant-b/x",
		},
		"and gives way to whoever proves it": {
			claims: []wants{{id: "tenant-b/x", age: 1, condition: proven, leaves: true}, {id: "tenant-a/x", age: 2, condition: proven}}, serving: "tenant-b/x", want: "tenant-a/x",
		},
		"at another gateway too": {
			claims: []wants{{id: "tenant-b/x", age: 1, gateway: "tenant-b/own", condition: proven, leaves: true}, {id: "tenant-a/x", age: 2, condition: proven}}, want: "tenant-a/x",
		},
		"and to another of its namespace": {
			claims: []wants{{id: "default/a", age: 1, leaves: true}, {id: "default/b", age: 2}}, serving: "default/a", want: "default/b",
		},
		"who is served no more has it no more": {
			claims: []wants{{id: "friend-b/x", age: 1}}, serving: "friend-a/x", want: "friend-b/x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := minimalGateway(t)
			in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{
				{From: v1alpha1.FromSame},
				{From: v1alpha1.FromSelector, Selector: named("tenant-a", "tenant-b"), BackendHosts: []v1alpha1.HostPattern{"*.example.org"}},
				{From: v1alpha1.FromSelector, Selector: named("friend-a", "friend-b"), BackendHosts: []v1alpha1.HostPattern{"*"}, Proof: v1alpha1.ProofNotRequired},
			}
			if tc.serving != "" {
				in.Serving = map[string]string{"example.org": tc.serving}
			}
			for _, w := range tc.claims {
				in.Domains = append(in.Domains, w.domain())
			}
			check := func() {
				t.Helper()
				part := compile.CompileDomains(compile.CompileGateway(in), in)
				got := ""
				if len(part.Domains) == 1 {
					got = part.Domains[0].Source
				}
				if got != tc.want || len(part.Domains) > 1 || len(part.Candidates) != len(tc.candidates) {
					t.Errorf("%q has it, want %q; candidates %v, want %v", got, tc.want, part.Candidates, tc.candidates)
				}
				for _, id := range tc.candidates {
					if _, ok := part.Candidates[id]; !ok {
						t.Errorf("%s is no candidate", id)
					}
				}
				tellsNoStranger(t, part.Findings)
			}
			check()
			slices.Reverse(in.Domains)
			check()
		})
	}
}

func (w wants) domain() v1alpha1.FederatedDomain {
	namespace, name, _ := strings.Cut(w.id, "/")
	d := v1alpha1.FederatedDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.Unix(1_700_000_000+w.age, 0)}}
	if w.leaves {
		d.DeletionTimestamp = &metav1.Time{Time: d.CreationTimestamp.Add(time.Hour)}
	}
	d.Spec.Domain = "example.org"
	d.Spec.GatewayRef = v1alpha1.GatewayRef{Name: "edge", Namespace: "default"}
	if ns, name, other := strings.Cut(w.gateway, "/"); other {
		d.Spec.GatewayRef = v1alpha1.GatewayRef{Name: name, Namespace: ns}
	}
	host := w.host
	if host == "" {
		host = "calendar.example.org"
	}
	d.Spec.Backend = iScheduleAt("https://" + host + "/ischedule")
	if w.condition != "" {
		c := metav1.Condition{Type: v1alpha1.ConditionOwnershipProven, Status: metav1.ConditionTrue, Reason: w.condition}
		if w.gone || w.condition == v1alpha1.ReasonProofMissing {
			c.Status = metav1.ConditionFalse
		}
		d.Status.Conditions = []metav1.Condition{c}
		shown := "default/edge"
		if w.shown != "" {
			shown = w.shown
		}
		d.Status.Ownership = challenge(&d, shown)
	}
	return d
}

// challenge is what the status of a domain shows that a gateway, namespace/name, asks a proof of.
func challenge(d *v1alpha1.FederatedDomain, gateway string) *v1alpha1.OwnershipChallenge {
	name, value := records.Challenge("gw.example.org", gateway, d.Namespace, string(d.Spec.Domain))
	return &v1alpha1.OwnershipChallenge{Name: name + ".", Value: value}
}

// named chooses namespaces by the label that each has.
func named(namespaces ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: namespaces},
	}}
}

// tellsNoStranger fails when what is said to one namespace names another one that is neither it nor the gateway's.
func tellsNoStranger(t *testing.T, findings []compile.Finding) {
	t.Helper()
	for _, f := range findings {
		for _, other := range []string{"tenant-a", "tenant-b", "friend-a", "friend-b", "stranger", "elsewhere"} {
			if other != f.Namespace && strings.Contains(f.Message, other) {
				t.Errorf("%s/%s is told of %s: %s", f.Namespace, f.Name, other, f.Message)
			}
		}
	}
}

// In standalone mode whoever writes the files is the owner of all that they say.
func TestStandaloneAsksForNoProof(t *testing.T) {
	t.Parallel()
	in := minimalGateway(t)
	in.TrustOwners = true
	in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: []v1alpha1.HostPattern{"*"}}}
	in.Domains = []v1alpha1.FederatedDomain{wants{id: "tenant-a/x"}.domain()}
	if out := compile.Compile(in); len(out.Snapshot.Domains) != 1 || len(out.Findings) != 0 {
		t.Errorf("%+v", out.Findings)
	}
}

// Where an entry does not say which back ends it takes, the gateway's own namespace may have any, and others only the smarthost.
func TestATenantsBackEndsAreNoneUnlessSaid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		id      string
		mail    bool
		hosts   []v1alpha1.HostPattern
		refused bool
	}{
		"a tenant":                             {id: "tenant-a/x", refused: true},
		"a tenant with the smarthost":          {id: "tenant-a/x", mail: true},
		"a tenant, where it is said":           {id: "tenant-a/x", hosts: []v1alpha1.HostPattern{"calendar.example.org"}},
		"a tenant, where others are said":      {id: "tenant-a/x", hosts: []v1alpha1.HostPattern{"*.calendar.example.org"}, refused: true},
		"the gateway's namespace":              {id: "default/x"},
		"the gateway's, where others are said": {id: "default/x", hosts: []v1alpha1.HostPattern{"10.0.0.0/8"}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := minimalGateway(t)
			in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: tc.hosts}}
			in.Gateway.Spec.Submission = &v1alpha1.Submission{Smarthost: &v1alpha1.MailServer{Host: "smtp.example.org", Port: 587, TLS: v1alpha1.MailStartTLS}}
			d := wants{id: tc.id, condition: v1alpha1.ReasonProven}.domain()
			if tc.mail {
				d.Spec.Backend = v1alpha1.Backend{Type: v1alpha1.BackendIMIP}
			}
			in.Domains = []v1alpha1.FederatedDomain{d}
			out := compile.Compile(in)
			if got := len(messagesOf(out.Findings, v1alpha1.ReasonEgressDenied)) > 0; got != tc.refused || (len(out.Draft.Domains) == 0) != tc.refused {
				t.Errorf("refused %v, want %v; %d domains: %+v", got, tc.refused, len(out.Draft.Domains), out.Findings)
			}
		})
	}
}

// A key that speaks for all names below a domain signs for its own namespace's only where that runs the gateway: what the gateway
// serves at /.well-known/domainkey would let a tenant sign for others.
//
// Proves: IS-DKIM-8
func TestATenantsKeySpeaksForItsOwnDomainOnly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		namespace string
		domain    v1alpha1.DomainName
		trust     bool
		signs     bool
	}{
		"its own domain":                     {"tenant-a", "team.example.org", false, true},
		"a parent":                           {"tenant-a", "example.org", false, false},
		"a parent, in a folder of manifests": {"tenant-a", "example.org", true, true},
		"a parent, where the gateway is":     {"default", "example.org", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := minimalGateway(t)
			in.TrustOwners = tc.trust
			in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: []v1alpha1.HostPattern{"*"}}}
			d := wants{id: tc.namespace + "/x", condition: v1alpha1.ReasonProven}.domain()
			d.Spec.Domain = "team.example.org"
			d.Status.Ownership = challenge(&d, "default/edge")
			d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "x"}}}
			in.Domains = []v1alpha1.FederatedDomain{d}
			in.Keys = []v1alpha1.DKIMKey{importedKey(d.ObjectMeta, tc.domain, "cal", "x")}
			secret := in.Secrets[0]
			secret.ObjectMeta, secret.Data = d.ObjectMeta, map[string][]byte{"private.key": ed25519Key(t, 1)}
			in.Secrets = append(in.Secrets, secret)
			out := compile.Compile(in)
			if got := len(out.Snapshot.Domains[0].Signing.Keys) == 1; got != tc.signs {
				t.Errorf("signs %v, want %v: %+v", got, tc.signs, out.Findings)
			}
			if _, err := snapshot.Activate(out.Snapshot); err != nil {
				t.Error(err)
			}
		})
	}
}

// external-dns has rights on zones that a tenant has not: only where the gateway says so are records written below a zone for it.
func TestATenantsRecordsAreWrittenBelowNamedZonesOnly(t *testing.T) {
	t.Parallel()
	externalDNS := func(zone v1alpha1.DomainName) *v1alpha1.Publish {
		return &v1alpha1.Publish{Type: v1alpha1.PublishExternalDNS, Delegated: &v1alpha1.Delegated{Zone: zone}}
	}
	byUpdate := externalDNS("anybody.example")
	byUpdate.Type, byUpdate.RFC2136 = v1alpha1.PublishRFC2136, &v1alpha1.RFC2136{Server: "ns1.anybody.example"}
	for name, tc := range map[string]struct {
		id      string
		zones   []v1alpha1.DomainName
		publish *v1alpha1.Publish
		refused bool
	}{
		"none is named":                     {id: "tenant-a/x", publish: externalDNS("dns.operator.example"), refused: true},
		"it is named":                       {id: "tenant-a/x", zones: []v1alpha1.DomainName{"dns.operator.example"}, publish: externalDNS("dns.operator.example")},
		"one above it is":                   {id: "tenant-a/x", zones: []v1alpha1.DomainName{"operator.example"}, publish: externalDNS("dns.operator.example"), refused: true},
		"one below it is":                   {id: "tenant-a/x", zones: []v1alpha1.DomainName{"dns.operator.example"}, publish: externalDNS("operator.example"), refused: true},
		"the domain's own names":            {id: "tenant-a/x", publish: &v1alpha1.Publish{Type: v1alpha1.PublishExternalDNS}},
		"with a TSIG key of the tenant":     {id: "tenant-a/x", publish: byUpdate},
		"none, in the gateway's namespace":  {id: "default/x", publish: externalDNS("dns.operator.example")},
		"named for another entry's domains": {id: "tenant-b/x", zones: []v1alpha1.DomainName{"dns.operator.example"}, publish: externalDNS("dns.operator.example"), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := minimalGateway(t)
			in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{
				{From: v1alpha1.FromSame},
				{From: v1alpha1.FromSelector, Selector: named("tenant-a"), BackendHosts: []v1alpha1.HostPattern{"*"}, DelegatedZones: tc.zones},
				{From: v1alpha1.FromSelector, Selector: named("tenant-b"), BackendHosts: []v1alpha1.HostPattern{"*"}},
			}
			d := wants{id: tc.id, condition: v1alpha1.ReasonProven}.domain()
			d.Spec.Publish = tc.publish
			in.Domains = []v1alpha1.FederatedDomain{d}
			out := compile.Compile(in)
			if got := len(messagesOf(out.Findings, v1alpha1.ReasonNotAllowed)) > 0; got != tc.refused || len(out.Snapshot.Domains) != 1 {
				t.Errorf("refused %v, want %v: %+v", got, tc.refused, out.Findings)
			}
		})
	}
}
