// Package probe is the federation tester: it looks at a domain from outside, as another organisation's gateway would, step by
// step, and says of each what was expected, what was seen, and what is likely wrong. `calfed check` prints it; whoever watches
// a domain reads its one word.
//
// It sends one unsigned free/busy question, which every receiver must refuse, and nothing else that could change
// anything. Sources: D05 §4, §5, §7.3; IS-DISC, IS-CAP, IS-DKIM-10, IS-DKIM-11.
package probe

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// DNS is what the tester asks of DNS; *resolver.Client implements it.
type DNS interface {
	LookupSRV(ctx context.Context, name string) ([]resolver.SRV, resolver.Answer, error)
	LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error)
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
	Forget(name string)
}

// Config of a Prober.
type Config struct {
	DNS       DNS
	Guard     *netguard.Guard
	Roots     *x509.CertPool     // those of the guard; nil = the system's
	Options   snapshot.Discovery // optional ways to find a receiver
	UserAgent string
	Now       func() time.Time // nil = time.Now
}

// Prober tests domains. It keeps nothing between them. Safe for concurrent use.
type Prober struct{ cfg Config }

// New makes a Prober.
func New(cfg Config) *Prober {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Prober{cfg: cfg}
}

// Target is a domain to test.
type Target struct {
	Domain string // cua.Domain form; "" = only the keys are looked up
	Host   string // what SRV should lead to; "" = unknown
	Keys   []Key  // those to look up
	// Outbound are the settings of the policy by which messages to the domain would leave; nil = none.
	Outbound *snapshot.Outbound
}

// Key is a published key to look up.
type Key struct {
	Domain, Selector string   // d=, s=
	Record           string   // as it should be; "" = unknown
	Methods          []string // dkim.MethodDNS, dkim.MethodWellKnown; each must have it. nil = either will do
}

// Verdict on one step.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // works, and not for everybody or not for long
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped" // could not be tried, or does not apply
)

// Step is one thing that was tried.
type Step struct {
	Name     string  `json:"name"` // "srv", "address gw.example.org:443", …
	Verdict  Verdict `json:"verdict"`
	Expected string  `json:"expected"`
	Seen     string  `json:"seen"`
	Cause    string  `json:"cause,omitempty"` // likely, with what to do; "" when OK
}

// The words of a Report.
const (
	Healthy  = "healthy"  // every step is OK
	Degraded = "degraded" // messages arrive, and something should be mended
	Broken   = "broken"   // messages do not arrive, or strangers' unsigned ones do
	Absent   = "absent"   // the domain says that it has no iSchedule service
	Unknown  = "unknown"  // it could not be found out: DNS does not answer, or the time was over
)

// Report is what was found out about a domain.
type Report struct {
	Domain string        `json:"domain"`
	Word   string        `json:"verdict"`
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took"` // nanoseconds
	Steps  []Step        `json:"steps"`
}

// maxTargets bounds how many SRV targets of a domain are looked at.
const maxTargets = 8

// stepTimeout bounds one step.
const stepTimeout = 15 * time.Second

// Probe tests one domain. It ends when ctx does, with the steps that were done.
func (p *Prober) Probe(ctx context.Context, t Target) *Report {
	began := p.cfg.Now()
	r := &run{cfg: p.cfg, target: t}
	r.find = discovery.New(discovery.Config{
		DNS: p.cfg.DNS, Guard: p.cfg.Guard, Options: p.cfg.Options, Now: p.cfg.Now, UserAgent: p.cfg.UserAgent,
	})
	defer r.find.Close()
	r.keys = keys.New(keys.Config{DNS: p.cfg.DNS, Guard: p.cfg.Guard, Now: p.cfg.Now})
	defer r.keys.Close()

	if t.Domain != "" {
		r.receiver(ctx)
	}
	r.published(ctx)
	if ctx.Err() != nil {
		r.unknown = true
		r.add(Step{Name: "time", Verdict: Failed, Expected: "every step within the time given", Seen: ctx.Err().Error(),
			Cause: "the check was ended before it was through: what failed last may have had no time; give it more"})
	}
	return &Report{Domain: t.Domain, Word: r.word(), At: began, Took: p.cfg.Now().Sub(began), Steps: r.steps}
}

// receiver looks for the domain's receiver, and at it.
func (r *run) receiver(ctx context.Context) {
	r.location(ctx)
	if receiver := r.capabilities(ctx); receiver != nil {
		r.unsigned(ctx, receiver)
		r.outside(ctx, receiver)
	}
}

// run is one test under way.
type run struct {
	cfg    Config
	target Target
	find   *discovery.Discoverer
	keys   *keys.Lookup

	steps   []Step
	absent  bool // there is no service, and nobody says that there is one
	unknown bool // DNS did not answer, or there was no time
}

func (r *run) add(s Step) {
	s.Name, s.Seen, s.Cause = printable(s.Name), printable(s.Seen), printable(s.Cause)
	r.steps = append(r.steps, s)
}

// word sums up.
func (r *run) word() string {
	count := map[Verdict]int{}
	for _, s := range r.steps {
		count[s.Verdict]++
	}
	switch {
	case r.unknown:
		return Unknown
	case r.absent:
		return Absent
	case count[Failed] > 0:
		return Broken
	case count[Warning] > 0:
		return Degraded
	}
	return Healthy
}
