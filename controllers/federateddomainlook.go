package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/probe"
)

// Bounds of a look.
const (
	lookUpTimeout = 30 * time.Second
	probeTimeout  = 2 * time.Minute
	probeCost     = 4 // look-ups that a probe counts as
	oldPlaceTries = 3 // to take records back from a former place
)

// look looks at a domain from outside, publishes what is to be published, and puts what it found into sights. It says whether all is
// as it should be.
func (r *federatedDomains) look(ctx context.Context, name types.NamespacedName) bool {
	var d v1alpha1.FederatedDomain
	if err := r.client.Get(ctx, name, &d); err != nil {
		return true // gone; or the cache ends, and so do we
	}
	if !d.DeletionTimestamp.IsZero() {
		return r.takeAway(ctx, &d)
	}
	post, posted := r.board.Domains.Get(name)
	if !posted || post.UID != d.UID || post.Generation != d.Generation {
		return false // the post will come
	}
	p, err := r.plan(ctx, &d, post)
	if err != nil {
		return false
	}
	r.sights.begin(name, purpose{p.key, post.Programmed})
	defer r.sights.end(name)
	before, known := r.sights.get(name)
	if known && before.uid != d.UID {
		before = sight{}
	}
	now := sight{uid: d.UID, key: p.key, oldPlace: before.oldPlace}
	if before.key == p.key {
		now.discoverable, now.backend = before.discoverable, before.backend
	}
	good := r.seeProof(ctx, p, before.proof, &now)
	good = r.publish(ctx, &d, p, &now) && good
	if p.post.Compiled != nil && (p.place == nil || p.noted || p.hold) {
		good = r.seeRecords(ctx, p, &now) && good
		good = r.seeBackend(ctx, p, &now) && good
		good = r.seeFromOutside(ctx, p, &now) && good
	}
	if now.bad != nil && now.bad.server != "" && isDone(&d, p) {
		r.repair(ctx, &d, p, &now)
	}
	if ctx.Err() != nil {
		return false
	}
	r.sights.set(name, now)
	return good
}

// lookUp asks the authoritative servers of a name, in its turn.
func (r *federatedDomains) lookUp(ctx context.Context, name, rrtype string) (*probe.Answers, error) {
	if err := r.pace.Wait(ctx, 1); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	return r.Authority.Lookup(ctx, name, rrtype)
}

// seeProof looks for the TXT record that proves ownership: every server that answers must have it, and one must answer.
func (r *federatedDomains) seeProof(ctx context.Context, p *plan, before proofSight, now *sight) bool {
	if p.challenge == nil {
		return true
	}
	now.proof = proofSight{value: p.challenge.Value}
	answers, err := r.lookUp(ctx, p.challenge.Name, "TXT")
	switch {
	case err != nil:
		now.proof.blind, now.proof.problem = true, "the name servers of "+plainName(p.challenge.Name)+" cannot be asked: "+err.Error()
	case !slices.ContainsFunc(answers.Servers, answered):
		now.proof.blind, now.proof.problem = true, "none of the name servers of "+plainName(p.challenge.Name)+" answers"
	default:
		now.proof.seen = true
		for _, s := range answers.Servers {
			if answered(s) && !slices.Contains(s.Data, p.challenge.Value) {
				now.proof.seen, now.proof.problem = false, plainName(s.Server)+" has "+nothingOr(s.Data)+" there"
				break
			}
		}
	}
	same := before.value == now.proof.value
	switch {
	case now.proof.blind && same:
		now.proof.missing, now.proof.since = before.missing, before.since
	case !now.proof.seen && same && before.missing > 0:
		now.proof.missing, now.proof.since = before.missing+1, before.since
	case !now.proof.seen && !now.proof.blind:
		now.proof.missing, now.proof.since = 1, r.Clock.Now()
	}
	return now.proof.seen
}

func answered(s probe.ServerAnswer) bool { return s.Err == nil }

func plainName(name string) string { return strings.TrimSuffix(name, ".") }

// publish brings what is written to where it belongs. What is done already is not done again.
func (r *federatedDomains) publish(ctx context.Context, d *v1alpha1.FederatedDomain, p *plan, now *sight) bool {
	was := d.Status.Published
	switch {
	case p.hold, was == nil && p.place == nil:
		return true
	case was != nil && !samePlace(was, p.place):
		return r.leavePlace(ctx, d, p, now)
	case !p.noted:
		return false // the reconcile notes it, and asks again
	case isDone(d, p):
		now.oldPlace = 0
		return true
	}
	_, err := r.write(ctx, d, p, now)
	return err == nil && now.failure == nil && len(now.foreign) == 0
}

func isDone(d *v1alpha1.FederatedDomain, p *plan) bool {
	return !p.hold && p.place != nil && p.noted && publish.Done(p.write, d.Status.Published.Records)
}

func (r *federatedDomains) write(ctx context.Context, d *v1alpha1.FederatedDomain, p *plan, now *sight) (publish.Outcome, error) {
	at := *p.place
	at.Records = d.Status.Published.Records
	out, err := r.change(ctx, d, &at, p.write)
	now.foreign = out.Foreign
	if err == nil && len(out.Outside) > 0 {
		now.failure = asFailure(&publish.Error{Reason: v1alpha1.ReasonPublishFailed, Message: out.Outside[0] + " does not lie in the zone " + string(at.RFC2136.Zone) + ": leave spec.publish.rfc2136.zone out when the server has the zone of it, too; else set the record by hand"})
	}
	at.Records = out.Ours
	if noteErr := r.note(ctx, d, &at); noteErr != nil && err == nil {
		err = noteErr
	}
	if err != nil {
		now.failure = asFailure(err)
	}
	return out, err
}

// leavePlace takes back what lies at a former place. When that cannot be done, it is left there and said, so that a name server
// that is gone for good does not keep the domain from its new one.
func (r *federatedDomains) leavePlace(ctx context.Context, d *v1alpha1.FederatedDomain, p *plan, now *sight) bool {
	if _, err := r.change(ctx, d, d.Status.Published, nil); err != nil {
		now.oldPlace++
		if p.place == nil || now.oldPlace < oldPlaceTries {
			why := asFailure(err)
			now.failure = &publish.Error{Reason: why.Reason, Message: "what was published before cannot be taken back: " + why.Message}
			return false
		}
		r.leftovers(d, d, err)
	}
	now.oldPlace = 0
	if err := r.note(ctx, d, nil); err != nil {
		now.failure = asFailure(err)
	}
	return p.place == nil // otherwise the reconcile notes what goes to the new one, and asks again
}

// repair writes again what somebody changed. There may be nothing to write: servers can be slow to copy the zone.
func (r *federatedDomains) repair(ctx context.Context, d *v1alpha1.FederatedDomain, p *plan, now *sight) {
	if p.byHand(now.bad.expected) {
		return
	}
	out, _ := r.write(ctx, d, p, now) // the failure is noted
	now.repair = out.Changed
}

// seeFromOutside looks as another organisation's gateway would. It asks resolvers, which remember what was not there: so only once
// every authoritative server has the records.
func (r *federatedDomains) seeFromOutside(ctx context.Context, p *plan, now *sight) bool {
	if p.post.Compiled == nil || !p.post.Programmed || !now.checked || now.bad != nil {
		return true
	}
	if r.pace.Wait(ctx, probeCost) != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	target := probe.Target{Domain: p.post.Compiled.Name, Host: p.post.Settings.Host}
	for _, k := range p.post.Compiled.Signing.Keys {
		if !k.Signs() {
			continue
		}
		methods := slices.DeleteFunc(slices.Clone(p.post.Compiled.Signing.Lookup), func(m string) bool {
			return m != dkim.MethodDNS && m != dkim.MethodWellKnown
		})
		if len(methods) > 0 {
			target.Keys = append(target.Keys, probe.Key{Domain: k.Domain, Selector: k.Selector, Record: k.Record, Methods: methods})
		}
	}
	c := discoverable(r.Prober.Probe(ctx, target))
	now.discoverable = &c
	return c.Status == metav1.ConditionTrue
}

// discoverable sums a report up: the first step that failed, or the first that could be better.
func discoverable(report *probe.Report) metav1.Condition {
	c := condition(v1alpha1.ConditionDiscoverable, true, v1alpha1.ReasonDiscoverable, seenFromOutside)
	verdict := probe.Failed
	if report.Word == probe.Degraded {
		verdict = probe.Warning
	}
	worst := "nothing can be seen from outside"
	if i := slices.IndexFunc(report.Steps, func(s probe.Step) bool { return s.Verdict == verdict }); i >= 0 {
		worst = report.Steps[i].Name + ": " + report.Steps[i].Cause
	}
	switch report.Word {
	case probe.Healthy:
	case probe.Degraded:
		c.Message = clip("seen from outside, but " + worst)
	case probe.Unknown:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonPending, clip(worst)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonNotDiscoverable, clip(worst)
	}
	return c
}
