package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/records"
)

// plan is what is expected of a domain.
type plan struct {
	post      board.Domain
	challenge *v1alpha1.OwnershipChallenge // nil = no proof is looked for
	recheck   time.Duration                // reconcile again after that, 0 = no need

	needed records.Set // all records of the domain; empty while it is not compiled
	// place is where records are written, nil = nowhere: what was written is taken back.
	place *v1alpha1.PublishedRecords
	write []records.Record // those of needed that are written there
	hold  bool             // nothing is written or taken back for now
	noted bool             // the status says what is about to be written, so it may be

	// key names what a look depends on, save whether every pod serves the domain: that changes for all domains at once, and is
	// no reason to look at all of them.
	key string
}

// proofSettles is how long a lost proof may take to reach the compiled configuration.
const proofSettles = time.Minute

func (r *federatedDomains) plan(ctx context.Context, d *v1alpha1.FederatedDomain, post board.Domain) (*plan, error) {
	p := &plan{post: post}
	if post.Settings != nil && r.asksProof(d, p) {
		name, value := records.Challenge(post.Settings.Host, post.Gateway.String(), d.Namespace, string(d.Spec.Domain))
		p.challenge = &v1alpha1.OwnershipChallenge{Name: name + ".", Value: value}
	}
	if post.Compiled != nil && post.Settings != nil {
		keys, err := r.keysOf(ctx, d)
		if err != nil {
			return nil, err
		}
		p.needed = records.For(post.Settings, post.Compiled, records.OptionsOf(d, keys))
	}
	p.publication(d)
	p.key = p.name(d)
	return p, nil
}

// keysOf reads the DKIMKeys that the records of a delegated domain depend on.
func (r *federatedDomains) keysOf(ctx context.Context, d *v1alpha1.FederatedDomain) ([]v1alpha1.DKIMKey, error) {
	if d.Spec.Publish == nil || d.Spec.Publish.Delegated == nil || d.Spec.Signing == nil {
		return nil, nil
	}
	var out []v1alpha1.DKIMKey
	for _, ref := range d.Spec.Signing.Keys {
		var k v1alpha1.DKIMKey
		err := r.client.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: ref.Name}, &k)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil {
			out = append(out, k)
		}
	}
	return out, nil
}

// asksProof says whether the owner's TXT record counts: compiling waits for it, or goes by it. That a proof was lost takes a moment to
// get there and back.
func (r *federatedDomains) asksProof(d *v1alpha1.FederatedDomain, p *plan) bool {
	c := apimeta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionOwnershipProven)
	switch {
	case p.post.Candidate != nil:
		return true
	case c == nil:
		return false
	case c.Status == metav1.ConditionTrue:
		return c.Reason == v1alpha1.ReasonProven
	case p.post.Compiled == nil:
		return d.Status.Ownership != nil
	}
	p.recheck = proofSettles - r.Clock.Since(c.LastTransitionTime.Time)
	if p.recheck > 0 {
		return true
	}
	p.recheck = 0
	return false
}

// publication decides what is written where. Records of a domain that merely cannot be compiled just now stay as they are; those of one
// that has no right to them any more are taken back.
func (p *plan) publication(d *v1alpha1.FederatedDomain) {
	switch spec := d.Spec.Publish; {
	case p.post.Compiled == nil:
		p.hold = !p.lostTheName()
	case spec == nil:
	case p.publishError() != nil:
		p.hold = true
	default:
		p.place = &v1alpha1.PublishedRecords{Type: spec.Type, RFC2136: spec.RFC2136}
		p.write = p.needed.Records
		if spec.Type == v1alpha1.PublishExternalDNS && p.challenge != nil && spec.Delegated == nil {
			// who has proven one name must not get others written with external-dns's rights
			p.write = slices.DeleteFunc(slices.Clone(p.write), func(rec records.Record) bool {
				return !strings.HasSuffix("."+rec.Name, "."+string(d.Spec.Domain)+".")
			})
		}
	}
	if p.place != nil && !p.hold && samePlace(d.Status.Published, p.place) {
		p.noted = reflect.DeepEqual(d.Status.Published, p.claimed(d.Status.Published))
	}
}

// lostTheName says whether the domain is another's, or not shown to be this object's.
func (p *plan) lostTheName() bool {
	return p.post.Candidate != nil || slices.ContainsFunc(p.post.Findings, func(f compile.Finding) bool {
		return f.Severity == compile.Error && slices.Contains([]string{v1alpha1.ReasonConflict, v1alpha1.ReasonNotAllowed, v1alpha1.ReasonProofMissing}, f.Reason)
	})
}

// publishError is what is wrong with spec.publish, nil = nothing.
func (p *plan) publishError() *compile.Finding {
	i := slices.IndexFunc(p.post.Findings, func(f compile.Finding) bool {
		return f.Severity == compile.Error && strings.HasPrefix(f.Field, "spec.publish")
	})
	if i < 0 {
		return nil
	}
	return &p.post.Findings[i]
}

// claimed is what was published with what is about to be: the next status.published.
func (p *plan) claimed(now *v1alpha1.PublishedRecords) *v1alpha1.PublishedRecords {
	if p.hold || p.place == nil || now != nil && !samePlace(now, p.place) {
		return now
	}
	out := *p.place
	if now != nil {
		out.Records = now.Records
	}
	out.Records = publish.Claims(p.write, out.Records)
	return &out
}

// samePlace says whether records written to one lie where those of the other do. The TSIG key may be another.
func samePlace(a, b *v1alpha1.PublishedRecords) bool {
	if a == nil || b == nil || a.Type != b.Type || (a.RFC2136 == nil) != (b.RFC2136 == nil) {
		return a == nil && b == nil
	}
	return a.RFC2136 == nil || a.RFC2136.Server == b.RFC2136.Server && a.RFC2136.Zone == b.RFC2136.Zone
}

// byHand says whether somebody else has to set a record: the owner of a delegated domain, or whoever publishes what we do not.
func (p *plan) byHand(rec records.Record) bool {
	return p.place == nil || !slices.ContainsFunc(p.write, func(w records.Record) bool { return w.Name == rec.Name && w.Type == rec.Type })
}

func (p *plan) name(d *v1alpha1.FederatedDomain) string {
	text, _ := json.Marshal(struct { // plain values: that cannot fail
		Challenge   *v1alpha1.OwnershipChallenge
		Place       *v1alpha1.PublishedRecords
		Hold, Noted bool
		Compiled    bool
		Published   bool
		Needed      records.Set
		Asked       [2]string
	}{
		p.challenge, p.place, p.hold, p.noted, p.post.Compiled != nil, d.Status.Published != nil, p.needed,
		[2]string{d.Annotations[v1alpha1.AnnotationProbe], d.Annotations[v1alpha1.AnnotationResetBackoff]},
	})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
