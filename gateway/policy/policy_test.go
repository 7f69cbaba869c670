package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/snapshot"
)

var pair = sync.OnceValue(func() snapshot.KeyPair {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		panic(err)
	}
	certificate, key, err := catest.EncodePEM(leaf)
	if err != nil {
		panic(err)
	}
	return snapshot.KeyPair{Certificate: certificate, Key: key}
})

type fataler interface{ Fatal(args ...any) }

// active serves local.example (and more, when named) under these policies; each covers what its Domains say.
func active(t fataler, action snapshot.Action, policies []snapshot.Policy, domains ...string) *snapshot.Active {
	s := &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: pair(), DefaultAction: action,
			Capabilities: ischedule.Capabilities{
				Serial: 1, Versions: []string{"1.0"},
				Messages:         []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				MaxContentLength: 1, MaxInstances: 1, MaxRecipients: 1, Administrator: "mailto:a@example.org",
				MinDateTime: time.Unix(1, 0), MaxDateTime: time.Unix(2, 0),
			},
			Limits: snapshot.Limits{
				MaxConnections: 1, MaxConnsPerSource: 1, RequestsPerSource: 1, KeyLookupsPerSource: 1, KeyLookupsPerDomain: 1, KeyLookups: 1,
				MaxHeaderBytes: 1, MaxInFlightBytes: 1, HeaderTimeout: 1, BodyTimeout: 1, DeliveryTimeout: 1,
			},
		},
		Policies: policies,
	}
	for _, name := range append([]string{"local.example"}, domains...) {
		d := snapshot.Domain{Name: name, Backend: snapshot.Backend{Type: snapshot.BackendMemory}}
		if name == "narrow.example" {
			d.Accepts = []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST"}}}
		}
		for i := range policies {
			if policies[i].Coverage(name) >= 0 {
				d.Policies = append(d.Policies, policies[i].ID)
			}
		}
		s.Domains = append(s.Domains, d)
	}
	a, err := snapshot.Activate(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func p(id string, action snapshot.Action, peers string, change ...func(*snapshot.Policy)) snapshot.Policy {
	out := snapshot.Policy{ID: id, Action: action, Peers: strings.Fields(peers)}
	for _, c := range change {
		c(&out)
	}
	return out
}

func domains(list string) func(*snapshot.Policy) {
	return func(p *snapshot.Policy) { p.Domains = strings.Fields(list) }
}

func created(day int) func(*snapshot.Policy) {
	return func(p *snapshot.Policy) { p.Created = time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC) }
}

// Proves: IS-RECV-1
func TestPrecedence(t *testing.T) {
	const allow, deny = snapshot.Allow, snapshot.Deny
	for _, tc := range []struct {
		rule     string
		peer     string
		policies []snapshot.Policy
		want     string
	}{
		{"a name before its suffix", "a.b.example", []snapshot.Policy{p("suffix", deny, "*.b.example"), p("name", allow, "a.b.example")}, "name"},
		{"a longer suffix before a shorter one", "a.b.example", []snapshot.Policy{p("short", deny, "*.example"), p("long", allow, "*.b.example")}, "long"},
		{"a suffix before everybody", "a.b.example", []snapshot.Policy{p("all", deny, "*"), p("suffix", allow, "*.example")}, "suffix"},
		{"everybody before nobody", "a.b.example", []snapshot.Policy{p("all", deny, "*")}, "all"},
		{"a suffix does not match itself", "b.example", []snapshot.Policy{p("suffix", allow, "*.b.example")}, ""},
		{"a suffix matches whole labels", "ab.example", []snapshot.Policy{p("suffix", allow, "*.b.example")}, ""},
		{"a name does not match below itself", "a.b.example", []snapshot.Policy{p("name", allow, "b.example")}, ""},
		{"the best of a policy's peers counts", "a.b.example", []snapshot.Policy{p("two", allow, "* a.b.example"), p("suffix", deny, "*.b.example")}, "two"},
		{"the peer before the domain", "a.example", []snapshot.Policy{p("peer", allow, "a.example"), p("domain", deny, "*.example", domains("local.example"))}, "peer"},
		{"a domain's name before its suffix", "a.example", []snapshot.Policy{p("suffix", deny, "a.example", domains("*.example")), p("name", allow, "a.example", domains("local.example"))}, "name"},
		{"a domain's suffix before all domains", "a.example", []snapshot.Policy{p("all", deny, "a.example"), p("suffix", allow, "a.example", domains("*.example"))}, "suffix"},
		{"no domains is as wide as every domain", "a.example", []snapshot.Policy{p("none", allow, "a.example"), p("star", deny, "a.example", domains("*"))}, "star"},
		{"the domain before Deny", "a.example", []snapshot.Policy{p("deny", deny, "a.example"), p("domain", allow, "a.example", domains("local.example"))}, "domain"},
		{"Deny before Allow", "a.example", []snapshot.Policy{p("allow", allow, "a.example", created(1)), p("deny", deny, "a.example", created(2))}, "deny"},
		{"the older", "a.example", []snapshot.Policy{p("a", allow, "a.example", created(2)), p("b", allow, "a.example", created(1))}, "b"},
		{"the first by name", "a.example", []snapshot.Policy{p("b", allow, "a.example"), p("a", allow, "a.example")}, "a"},
		{"a policy for other domains", "a.example", []snapshot.Policy{p("other", allow, "a.example", domains("other.example"))}, ""},
		{"internationalised names are A-labels", "xn--bcher-kva.example", []snapshot.Policy{p("idn", allow, "xn--bcher-kva.example")}, "idn"},
		{"a peer without a domain", "", []snapshot.Policy{p("all", allow, "*")}, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			for range 2 {
				a := active(t, deny, tc.policies)
				got := policy.Inbound(a, policy.Question{Peer: tc.peer, Domain: "local.example"})
				if id := idOf(got.Policy); id != tc.want {
					t.Errorf("%q decides, want %q", id, tc.want)
				}
				if out := policy.Outbound(a, policy.Question{Peer: tc.peer, Domain: "local.example"}); out.Policy != got.Policy {
					t.Errorf("outbound %q decides", idOf(out.Policy))
				}
				slices.Reverse(tc.policies) // the order of the list decides nothing
			}
		})
	}
}

func idOf(p *snapshot.Policy) string {
	if p == nil {
		return ""
	}
	return p.ID
}

// Proves: IS-CAP-4, IS-BACK-6
func TestDecisions(t *testing.T) {
	policies := []snapshot.Policy{
		p("friend", snapshot.Allow, "friend.example", func(p *snapshot.Policy) {
			p.Inbound.Messages = []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST", "CANCEL"}}, {Component: "VTODO"}}
		}),
		p("shy", snapshot.Allow, "shy.example", func(p *snapshot.Policy) { p.Inbound.FreeBusy = snapshot.FreeBusyDeny }),
		p("open", snapshot.Allow, "open.example"),
		p("enemy", snapshot.Deny, "enemy.example"),
	}
	for _, tc := range []struct {
		action                          snapshot.Action
		peer, domain, component, method string
		allowed                         bool
		reason                          string
	}{
		{snapshot.Deny, "open.example", "local.example", "VEVENT", "REQUEST", true, "policy-allow"},
		{snapshot.Deny, "open.example", "local.example", "", "", true, "policy-allow"},
		{snapshot.Deny, "open.example", "narrow.example", "", "", true, "policy-allow"},
		{snapshot.Deny, "open.example", "narrow.example", "VEVENT", "REQUEST", true, "policy-allow"},
		{snapshot.Deny, "open.example", "narrow.example", "VEVENT", "CANCEL", false, "domain-accepts"},
		{snapshot.Deny, "open.example", "narrow.example", "VTODO", "REQUEST", false, "domain-accepts"},
		{snapshot.Deny, "friend.example", "local.example", "VEVENT", "CANCEL", true, "policy-allow"},
		{snapshot.Deny, "friend.example", "local.example", "vevent", "cancel", true, "policy-allow"},
		{snapshot.Deny, "friend.example", "local.example", "VEVENT", "", true, "policy-allow"},
		{snapshot.Deny, "friend.example", "local.example", "VEVENT", "REPLY", false, "policy-message"},
		{snapshot.Deny, "friend.example", "local.example", "VFREEBUSY", "REQUEST", false, "policy-message"},
		{snapshot.Deny, "friend.example", "local.example", "VTODO", "COUNTER", true, "policy-allow"},
		{snapshot.Deny, "friend.example", "local.example", "", "", true, "policy-allow"},
		{snapshot.Deny, "friend.example", "narrow.example", "VEVENT", "REPLY", false, "policy-message"}, // the policy speaks first
		{snapshot.Deny, "shy.example", "local.example", "VFREEBUSY", "REQUEST", false, "policy-freebusy"},
		{snapshot.Deny, "shy.example", "local.example", "VEVENT", "REQUEST", true, "policy-allow"},
		{snapshot.Deny, "enemy.example", "local.example", "VEVENT", "REQUEST", false, "policy-deny"},
		{snapshot.Deny, "enemy.example", "narrow.example", "VTODO", "REQUEST", false, "policy-deny"},
		{snapshot.Deny, "stranger.example", "local.example", "VEVENT", "REQUEST", false, "default-deny"},
		{snapshot.Allow, "stranger.example", "local.example", "VEVENT", "REQUEST", true, "default-allow"},
		{snapshot.Allow, "stranger.example", "narrow.example", "VTODO", "REQUEST", false, "domain-accepts"},
		{snapshot.Allow, "enemy.example", "local.example", "VEVENT", "REQUEST", false, "policy-deny"},
		{snapshot.Allow, "", "local.example", "VEVENT", "REQUEST", false, "default-deny"},
		{snapshot.Allow, "open.example", "elsewhere.example", "VEVENT", "REQUEST", false, "domain-not-served"},
	} {
		a := active(t, tc.action, policies, "narrow.example")
		q := policy.Question{Peer: tc.peer, Domain: tc.domain, Component: tc.component, Method: tc.method}
		got := policy.Inbound(a, q)
		if got.Allowed != tc.allowed || got.Reason != tc.reason {
			t.Errorf("%+v, default %s: %v %s, want %v %s", q, tc.action, got.Allowed, got.Reason, tc.allowed, tc.reason)
		}
		explained := policy.Explain(a, q)
		if explained.Allowed != got.Allowed || explained.Reason != got.Reason || explained.Policy != got.Policy || explained.Why == "" {
			t.Errorf("%+v is explained as %+v, decided as %+v", q, explained, got)
		}
	}
}

func TestOutboundRefusesOnlyDeny(t *testing.T) {
	policies := []snapshot.Policy{
		p("friend", snapshot.Allow, "friend.example", func(p *snapshot.Policy) {
			p.Inbound.Messages = []snapshot.Messages{{Component: "VTODO"}} // inbound only
			p.Outbound.Timeout = time.Second
		}),
		p("enemy", snapshot.Deny, "enemy.example"),
	}
	a := active(t, snapshot.Deny, policies, "narrow.example")
	for _, tc := range []struct {
		peer, domain string
		allowed      bool
		reason, id   string
	}{
		{"friend.example", "local.example", true, "policy-allow", "friend"},
		{"friend.example", "narrow.example", true, "policy-allow", "friend"},
		{"stranger.example", "local.example", true, "default-allow", ""},
		{"enemy.example", "local.example", false, "policy-deny", "enemy"},
		{"friend.example", "elsewhere.example", false, "domain-not-served", ""},
	} {
		got := policy.Outbound(a, policy.Question{Peer: tc.peer, Domain: tc.domain, Component: "VEVENT", Method: "REPLY"})
		if got.Allowed != tc.allowed || got.Reason != tc.reason || idOf(got.Policy) != tc.id {
			t.Errorf("%+v: %+v", tc, got)
		}
	}
}

func TestExplainIsReadable(t *testing.T) {
	policies := []snapshot.Policy{
		p("default/all", snapshot.Allow, "*"),
		p("default/other", snapshot.Allow, "a.test b.test c.test d.test e.test f.test g.test"),
		p("default/wide", snapshot.Deny, "mail.example"),
		p("default/old", snapshot.Allow, "mail.example", domains("*.example local.example"), created(1)),
		p("default/new", snapshot.Allow, "mail.example", domains("local.example"), created(2)),
		p("default/stop", snapshot.Deny, "mail.example", domains("local.example"), created(3)),
		p("default/stop2", snapshot.Deny, "mail.example", domains("local.example"), created(3)),
		p("default/stop3", snapshot.Deny, "mail.example", domains("local.example"), created(4)),
		p("default/suffix", snapshot.Allow, "*.example mail.test"),
	}
	a := active(t, snapshot.Deny, policies)
	got := policy.Explain(a, policy.Question{Peer: "mail.example", Domain: "local.example", Component: "VEVENT", Method: "REQUEST"})
	want := []policy.Step{
		{"default/all", true, false, `matches by its peer "*", but default/stop names the peer more closely ("mail.example")`},
		{"default/other", false, false, `does not apply: none of its peers (a.test, b.test, c.test, d.test, e.test and 2 more) matches mail.example`},
		{"default/wide", true, false, `matches by its peer "mail.example", but default/stop names the domain more closely ("local.example" before "*")`},
		{"default/old", true, false, `matches by its peer "mail.example", but default/stop denies, and Deny goes before Allow`},
		{"default/new", true, false, `matches by its peer "mail.example", but default/stop denies, and Deny goes before Allow`},
		{"default/stop", true, true, `decides (Deny): its peer "mail.example" matches mail.example`},
		{"default/stop2", true, false, `matches by its peer "mail.example", but default/stop is as old and comes first by name`},
		{"default/stop3", true, false, `matches by its peer "mail.example", but default/stop is older (2026-11-03 00:00:00 before 2026-11-04 00:00:00)`},
		{"default/suffix", true, false, `matches by its peer "*.example", but default/stop names the peer more closely ("mail.example")`},
	}
	if diff := cmp.Diff(want, got.Steps); diff != "" {
		t.Error(diff)
	}
	for _, tc := range []struct {
		q    policy.Question
		want string
	}{
		{policy.Question{Peer: "mail.example", Domain: "local.example"}, "default/stop denies everything from mail.example to local.example."},
		{policy.Question{Peer: "x.test", Domain: "local.example", Component: "VEVENT", Method: "REQUEST"}, "default/all allows REQUEST of VEVENT from x.test to local.example."},
		{policy.Question{Peer: "x.test", Domain: "local.example", Component: "VEVENT"}, "default/all allows VEVENT from x.test to local.example."},
		{policy.Question{Peer: "x.test", Domain: "nowhere.example"}, "nowhere.example is not served by this gateway."},
	} {
		if got := policy.Explain(a, tc.q).Why; got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
	narrow := active(t, snapshot.Allow, []snapshot.Policy{
		p("few", snapshot.Allow, "few.example", func(p *snapshot.Policy) { p.Inbound.Messages = []snapshot.Messages{{Component: "VTODO"}} }),
		p("shy", snapshot.Allow, "shy.example", func(p *snapshot.Policy) { p.Inbound.FreeBusy = snapshot.FreeBusyDeny }),
	}, "narrow.example")
	for peer, want := range map[string]string{
		"few.example":   "few allows few.example, but its messages do not include REQUEST of VFREEBUSY.",
		"shy.example":   "shy allows shy.example, but denies it free/busy.",
		"other.example": "other.example may send here, but narrow.example does not accept REQUEST of VFREEBUSY.",
	} {
		if got := policy.Explain(narrow, policy.Question{Peer: peer, Domain: "narrow.example", Component: "VFREEBUSY", Method: "REQUEST"}).Why; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := policy.Explain(narrow, policy.Question{Peer: "x.test", Domain: "local.example"}).Why; got != "No policy that covers local.example matches x.test: the gateway's default is Allow." {
		t.Error(got)
	}
}

// oracle decides by comparing every (policy, peer pattern, domain pattern) with every other one.
func oracle(policies []snapshot.Policy, peer, domain string) string {
	rank := func(pattern, name string) (labels int, ok bool) {
		switch {
		case name == "":
			return 0, false
		case pattern == "*":
			return 0, true
		case strings.HasPrefix(pattern, "*."):
			return strings.Count(pattern, "."), strings.HasSuffix(name, pattern[1:])
		}
		return 1000, pattern == name
	}
	type row struct {
		peer, domain int
		p            *snapshot.Policy
	}
	var rows []row
	for i := range policies {
		patterns := policies[i].Domains
		if len(patterns) == 0 {
			patterns = []string{"*"}
		}
		for _, peers := range policies[i].Peers {
			for _, locals := range patterns {
				r1, ok1 := rank(peers, peer)
				r2, ok2 := rank(locals, domain)
				if ok1 && ok2 {
					rows = append(rows, row{r1, r2, &policies[i]})
				}
			}
		}
	}
	before := func(x, y row) bool {
		switch {
		case x.peer != y.peer:
			return x.peer > y.peer
		case x.domain != y.domain:
			return x.domain > y.domain
		case x.p.Action != y.p.Action:
			return x.p.Action == snapshot.Deny
		case !x.p.Created.Equal(y.p.Created):
			return x.p.Created.Before(y.p.Created)
		}
		return x.p.ID < y.p.ID
	}
	for _, x := range rows {
		beaten := false
		for _, y := range rows {
			beaten = beaten || before(y, x)
		}
		if !beaten {
			return x.p.ID
		}
	}
	return ""
}

// Proves: IS-RECV-1
func TestPrecedenceAgreesWithAnOracle(t *testing.T) {
	name := rapid.StringMatching(`([ab]\.){0,3}(example|test)`)
	pattern := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", "*."}).Draw(t, "wild") + name.Draw(t, "name")
	})
	anyPattern := rapid.OneOf(pattern, pattern, rapid.Just("*"))
	rapid.Check(t, func(t *rapid.T) {
		policies := make([]snapshot.Policy, rapid.IntRange(0, 6).Draw(t, "policies"))
		for i := range policies {
			policies[i] = snapshot.Policy{
				ID:      fmt.Sprintf("default/p%d", i),
				Created: time.Unix(int64(rapid.IntRange(1, 2).Draw(t, "created")), 0),
				Peers:   rapid.SliceOfNDistinct(anyPattern, 1, 3, rapid.ID[string]).Draw(t, "peers"),
				Domains: rapid.SliceOfNDistinct(anyPattern, 0, 2, rapid.ID[string]).Draw(t, "domains"),
				Action:  rapid.SampledFrom([]snapshot.Action{snapshot.Allow, snapshot.Deny}).Draw(t, "action"),
			}
		}
		local := rapid.SampledFrom([]string{"local.example", "a.example", "a.b.test"}).Draw(t, "local")
		a := active(t, snapshot.Deny, policies, "a.example", "a.b.test")
		peer := name.Draw(t, "peer")
		q := policy.Question{Peer: peer, Domain: local}
		want := oracle(policies, peer, local)
		got := policy.Inbound(a, q)
		if idOf(got.Policy) != want {
			t.Fatalf("%q decides, want %q", idOf(got.Policy), want)
		}
		if got.Allowed && !a.KnowsPeer(peer) {
			t.Fatal("a peer that is allowed is not known")
		}
		explained := policy.Explain(a, q)
		won := 0
		for _, step := range explained.Steps {
			if step.Won {
				won++
			}
			if step.Won && step.Policy != want || step.Why == "" {
				t.Fatalf("%+v, want %q", step, want)
			}
		}
		if idOf(explained.Policy) != want || won > 1 || (won == 1) != (want != "") {
			t.Fatalf("%+v, want %q", explained, want)
		}
	})
}

func many() []snapshot.Policy {
	out := []snapshot.Policy{p("all", snapshot.Allow, "*"), p("suffix", snapshot.Allow, "*.example")}
	for i := range 200 {
		out = append(out, p(fmt.Sprintf("default/p%03d", i), snapshot.Allow, fmt.Sprintf("peer%d.example *.peer%d.example", i, i)))
	}
	return out
}

func TestInboundAllocatesNothing(t *testing.T) {
	a := active(t, snapshot.Deny, many())
	q := policy.Question{Peer: "mail.peer77.example", Domain: "local.example", Component: "VEVENT", Method: "REQUEST"}
	if n := testing.AllocsPerRun(100, func() { policy.Inbound(a, q); policy.Outbound(a, q) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkInbound(b *testing.B) {
	a := active(b, snapshot.Deny, many())
	q := policy.Question{Peer: "mail.peer77.example", Domain: "local.example", Component: "VEVENT", Method: "REQUEST"}
	b.ReportAllocs()
	for b.Loop() {
		if !policy.Inbound(a, q).Allowed {
			b.Fatal("denied")
		}
	}
}
