package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

// What was compiled of a FederatedDomain says nothing about one that is made again under its name: pods may have dropped the domain.
func TestADomainThatIsMadeAgainIsAnother(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	if err := r.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.until("it is gone", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKeyFromObject(d), d))
	})
	again, other := r.domain("org", r.update()), r.domain("other", nil)
	r.post(other, board.Domain{Findings: []compile.Finding{{Severity: compile.Error, Field: "spec.backend", Reason: v1alpha1.ReasonRefNotFound, Message: "no Secret"}}})
	r.becomes(other, "Ready", isFalse, "RefNotFound") // so again was looked at
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(again), again); err != nil {
		t.Fatal(err)
	}
	if again.Status.ObservedGeneration != -1 || len(r.primary.Names()) > 0 {
		t.Errorf("called observed before it was compiled: %+v, published %v", again.Status, r.primary.Names())
	}
	r.serve(again)
	r.isReady(again)
}

func TestDomainFromNothingToReadyAndAway(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	missing := []compile.Finding{{Severity: compile.Error, Field: "spec.domain", Reason: v1alpha1.ReasonProofMissing, Message: "prove it"}}
	r.post(d, board.Domain{Candidate: compiled(), Findings: missing})
	r.becomes(d, "OwnershipProven", isFalse, "ProofMissing", "_calfed-challenge.example.org", "calfed-domain-verification=", "has nothing there")
	r.becomes(d, "Ready", isFalse, "ProofMissing")
	r.becomes(d, "Reconciling", isTrue, "ProofMissing")
	r.becomes(d, "Accepted", isTrue, "Accepted")
	if d.Status.Ownership == nil || d.Status.Ownership.Name != "_calfed-challenge.example.org." {
		t.Fatalf("%+v", d.Status.Ownership)
	}
	if len(r.primary.Names()) > 0 || len(d.Finalizers) > 0 || r.prober.probes() > 0 {
		t.Fatalf("before any proof: %v, finalizers %v, %d probes", r.primary.Names(), d.Finalizers, r.prober.probes())
	}

	r.own(r.ns)
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
	r.serve(d)
	r.isReady(d)
	r.becomes(d, "Published", isTrue, "Published")
	r.becomes(d, "KeyReady", isTrue, "KeyActive", "cal1")
	r.becomes(d, "Discoverable", isTrue, "Discoverable")
	r.becomes(d, "BackendReachable", isTrue, "Reachable")
	want := []v1alpha1.RecordStatus{
		{Name: serviceName, Type: "SRV", Expected: "0 0 443 gw.example.org.", Observed: "ok"},
		{Name: "cal1._domainkey.example.org.", Type: "TXT", Expected: keyRecord, Observed: "ok"},
	}
	if diff := cmp.Diff(want, d.Status.Records); diff != "" || d.Status.RecordCount != 2 {
		t.Errorf("%d records (-want +got):\n%s", d.Status.RecordCount, diff)
	}
	for _, c := range []string{"Reconciling", "Stalled"} {
		if apimeta.FindStatusCondition(d.Status.Conditions, c) != nil {
			t.Errorf("ready, and %s is there", c)
		}
	}
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := status.Compute(&unstructured.Unstructured{Object: o}); err != nil || s.Status != status.CurrentStatus {
		t.Errorf("kstatus: %+v, %v", s, err)
	}
	r.event(r.ns, "Proven")
	r.event(r.ns, "Published")

	r.delete(d)
	r.isGone(d)
	if names := r.primary.Names(); len(names) != 1 { // the owner's TXT record is not ours
		t.Errorf("left: %v", names)
	}
}

func TestPublishedGoesByTheServers(t *testing.T) {
	t.Parallel()
	theirs := serviceName + " IN SRV 0 0 443 other.example."
	for name, f := range map[string]func(r *domainRig, d *v1alpha1.FederatedDomain){
		"a change by somebody else is repaired": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.isReady(d)
			r.primary.Set(r.t, theirs)
			r.event(r.ns, "Drifted", "_ischedules._tcp.example.org", "other.example.")
			r.isReady(d)
			if got := r.primary.Records(serviceName, "SRV"); len(got) != 1 || got[0] != "0 0 443 gw.example.org." {
				r.t.Error(got)
			}
		},
		"a record that was removed is written again": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.isReady(d)
			r.primary.Remove("cal1._domainkey.example.org", "TXT")
			r.event(r.ns, "Drifted", "nothing")
			r.isReady(d)
		},
		"a new record follows a new key": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.isReady(d)
			r.serve(d,
				snapshot.Key{Domain: "example.org", Selector: "cal1", State: snapshot.KeyActive, Record: keyRecord},
				snapshot.Key{Domain: "example.org", Selector: "cal2", State: snapshot.KeyStandby, Record: "v=DKIM1; k=ed25519; p=QkJCQg=="})
			r.until("the record of the next key", func(context.Context) bool { return len(r.primary.Records("cal2._domainkey.example.org", "TXT")) == 1 })
			r.serve(d, snapshot.Key{Domain: "example.org", Selector: "cal2", State: snapshot.KeyActive, Record: "v=DKIM1; k=ed25519; p=QkJCQg=="})
			r.until("the record of the old key is taken back", func(context.Context) bool { return len(r.primary.Records("cal1._domainkey.example.org", "TXT")) == 0 })
			r.isReady(d)
		},
		"a secondary that lags is waited for": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.isReady(d)
			r.authority.mu.Lock()
			r.authority.servers = append(r.authority.servers, newSecondary(r))
			r.authority.mu.Unlock()
			r.serve(d, snapshot.Key{Domain: "example.org", Selector: "cal9", State: snapshot.KeyActive, Record: keyRecord})
			r.becomes(d, "Published", isFalse, "Propagating", "ns2.example.org has nothing")
		},
		"servers that are all away say nothing": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.isReady(d)
			updates := r.primary.Updates()
			r.authority.ask("127.0.0.1:1")
			asked := r.authority.lookUps()
			r.untilIn(time.Minute, "looks in the dark", func(context.Context) bool { return r.authority.lookUps() > asked+8 })
			r.isReady(d)
			if r.primary.Updates() != updates {
				r.t.Error("something was written")
			}
			r.serve(d, snapshot.Key{Domain: "example.org", Selector: "cal9", State: snapshot.KeyActive, Record: keyRecord})
			r.becomes(d, "Published", isUnknown, "Pending", "no name server answers")
		},
		"a server that is away is passed over": func(r *domainRig, d *v1alpha1.FederatedDomain) {
			r.authority.mu.Lock()
			r.authority.servers = append(r.authority.servers, "127.0.0.1:1")
			r.authority.mu.Unlock()
			r.isReady(d)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newDomainRig(t)
			d := r.domain("org", r.update())
			r.serve(d)
			f(r, d)
		})
	}
}

func TestPublishingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(r *domainRig, p *v1alpha1.Publish)
		reason string
		parts  []string
		cure   func(r *domainRig, d *v1alpha1.FederatedDomain)
	}{
		"somebody else's record stays": {
			before: func(r *domainRig, _ *v1alpha1.Publish) {
				r.primary.Set(r.t, serviceName+" IN SRV 0 0 443 other.example.")
			},
			reason: v1alpha1.ReasonConflict, parts: []string{"somebody else's", "other.example."},
			cure: func(r *domainRig, _ *v1alpha1.FederatedDomain) { r.primary.Remove(serviceName, "SRV") },
		},
		"a key that the server does not know": {
			before: func(_ *domainRig, p *v1alpha1.Publish) { p.RFC2136.TSIG.KeyName = "other" },
			reason: v1alpha1.ReasonPublishFailed, parts: []string{"BADKEY", "keyName"},
			cure: func(r *domainRig, d *v1alpha1.FederatedDomain) {
				r.edit(d, func() { d.Spec.Publish.RFC2136.TSIG.KeyName = tsigName })
				r.serve(d)
			},
		},
		"no Secret": {
			before: func(_ *domainRig, p *v1alpha1.Publish) { p.RFC2136.TSIG.SecretRef.Key = "wrong" },
			reason: v1alpha1.ReasonRefNotFound, parts: []string{`no key "wrong"`},
			cure: func(r *domainRig, d *v1alpha1.FederatedDomain) {
				r.edit(d, func() { d.Spec.Publish.RFC2136.TSIG.SecretRef.Key = "key" })
				r.serve(d)
			},
		},
		"a server that is away": {
			before: func(_ *domainRig, p *v1alpha1.Publish) { p.RFC2136.Server = "127.0.0.1:1" },
			reason: v1alpha1.ReasonPublishFailed, parts: []string{"127.0.0.1:1 refuses connections"},
			cure: func(r *domainRig, d *v1alpha1.FederatedDomain) {
				r.edit(d, func() { d.Spec.Publish.RFC2136.Server = r.primary.Addr() })
				r.serve(d)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newDomainRig(t)
			p := r.update()
			tc.before(r, p)
			d := r.domain("org", p)
			r.serve(d)
			r.becomes(d, "Published", isFalse, tc.reason, tc.parts...)
			r.becomes(d, "Ready", isFalse, tc.reason)
			r.event(r.ns, tc.reason)
			tc.cure(r, d)
			r.isReady(d)
			r.delete(d)
			r.isGone(d)
			if len(r.primary.Names()) > 0 {
				t.Error(r.primary.Names())
			}
		})
	}
}

func TestWithoutPublisherTheRecordsAreSetByHand(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", nil)
	r.serve(d)
	r.becomes(d, "Published", isFalse, "NotPublished", "status.records", "SRV _ischedules._tcp.example.org", "0 0 443 gw.example.org.")
	if len(d.Finalizers) > 0 || d.Status.Published != nil {
		t.Errorf("%v, %+v", d.Finalizers, d.Status.Published)
	}
	r.primary.Set(t, serviceName+" IN SRV 0 0 443 GW.example.org.\ncal1._domainkey.example.org. IN TXT \""+keyRecord+"\"\n")
	r.isReady(d)
	r.delete(d)
	r.isGone(d)
	if len(r.primary.Names()) != 2 {
		t.Errorf("what was set by hand is gone: %v", r.primary.Names())
	}
}

func TestDelegatedRecordsWaitForTheOwnersAliases(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	p := r.update()
	p.Delegated = &v1alpha1.Delegated{Zone: "dns.operator.example"}
	d := r.domain("org", p)
	r.serve(d)
	r.becomes(d, "Published", isFalse, "NotPublished", "CNAME", "_ischedules._tcp.example.org.dns.operator.example.")
	if diff := cmp.Diff([]string{"_ischedules._tcp.example.org.dns.operator.example. SRV", "cal1._domainkey.example.org.dns.operator.example. TXT"}, r.primary.Names()); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{serviceName, "cal1._domainkey.example.org."} {
		r.primary.Set(t, name+" IN CNAME "+name+"dns.operator.example.")
	}
	r.isReady(d)
	r.delete(d)
	r.isGone(d)
	if len(r.primary.Names()) != 2 {
		t.Errorf("left: %v", r.primary.Names())
	}
}

func TestADomainThatIsNotAcceptedIsNotPublished(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.post(d, board.Domain{Findings: []compile.Finding{{Severity: compile.Error, Field: "spec.gatewayRef", Reason: v1alpha1.ReasonNotAllowed, Message: "the gateway takes no domains of this namespace"}}})
	r.becomes(d, "Accepted", isFalse, "NotAllowed", "spec.gatewayRef")
	r.becomes(d, "Ready", isFalse, "NotAllowed")
	r.becomes(d, "OwnershipProven", isUnknown, "Pending")
	r.event(r.ns, "NotAllowed")
	if len(r.primary.Names()) > 0 || r.authority.lookUps() > 0 || len(d.Finalizers) > 0 {
		t.Errorf("%v, %d look-ups", r.primary.Names(), r.authority.lookUps())
	}
}

func TestWhoLosesTheNameTakesItsRecordsBack(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	r.post(d, board.Domain{Findings: []compile.Finding{{Severity: compile.Error, Field: "spec.backend", Reason: v1alpha1.ReasonRefNotFound, Message: "no Secret"}}})
	r.becomes(d, "Accepted", isFalse, "RefNotFound")
	if len(r.primary.Names()) != 2 {
		t.Errorf("what cannot be compiled just now is taken back: %v", r.primary.Names())
	}
	r.post(d, board.Domain{Findings: []compile.Finding{{Severity: compile.Error, Field: "spec.domain", Reason: v1alpha1.ReasonConflict, Message: "another namespace already answers"}}})
	r.until("the records are taken back", func(context.Context) bool { return len(r.primary.Names()) == 0 })
	r.until("the finalizer goes", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(d), d) == nil && len(d.Finalizers) == 0
	})
}

func TestFromOutsideAndBehind(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.post(d, board.Domain{Compiled: compiled(), Written: true, Blocking: []string{"edge-1: rejects shard 7: bad key"}})
	r.becomes(d, "Programmed", isFalse, "NoPods")
	r.board.Gateways.Post(r.gateway(), board.Gateway{Pods: []board.Pod{{Name: "edge-1"}}})
	r.post(d, board.Domain{Compiled: compiled(), Written: true, Blocking: []string{"edge-1: rejects shard 7: no good key"}})
	r.becomes(d, "Programmed", isFalse, "Rejected", "edge-1: rejects shard 7: no good key")
	r.becomes(d, "Published", isTrue, "Published")
	if r.prober.probes() > 0 {
		t.Error("probed before anything answers")
	}
	r.prober.mu.Lock()
	r.prober.report.Word, r.prober.report.Steps = "broken", probeSteps()
	r.prober.mu.Unlock()
	r.backend = snapshot.BackendReport{Problem: "https://cal.example.org answers 401: check the password"}
	asked := r.authority.lookUps()
	r.serve(d)
	r.untilIn(20*time.Millisecond, "a probe before the next round", func(context.Context) bool { return r.prober.probes() > 0 })
	r.becomes(d, "Discoverable", isFalse, "NotDiscoverable", "tls gw.example.org: the certificate has expired")
	r.becomes(d, "BackendReachable", isFalse, "Unreachable", "401")
	r.isReady(d) // strangers have no say in it
	if target := r.prober.asked[0]; target.Domain != "example.org" || target.Host != "gw.example.org" || len(target.Keys) != 1 || target.Keys[0].Record != keyRecord {
		t.Errorf("%+v", target)
	}
	if n := r.authority.lookUps() - asked; n > 20 {
		t.Errorf("%d look-ups", n)
	}
}

// Taking over a new snapshot concerns all domains of a gateway at once: it must ask nobody.
func TestProgrammingCostsNoLookUps(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.becomes(d, "Discoverable", isTrue, "Discoverable")
	r.isReady(d)
	asked, probes := r.authority.lookUps(), r.prober.probes()
	for range 5 {
		r.post(d, board.Domain{Compiled: compiled(), Hash: "b", Written: true})
		r.becomes(d, "Programmed", isFalse, "NoPods")
		r.serve(d)
		r.becomes(d, "Programmed", isTrue, "Programmed")
	}
	// one look may have been asked for before
	if n, p := r.authority.lookUps()-asked, r.prober.probes()-probes; n > len(d.Status.Records) || p > 1 {
		t.Errorf("%d look-ups and %d probes", n, p)
	}
}

func TestAHeldRemovalIsSaid(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	r.board.Gateways.Post(r.gateway(), board.Gateway{Held: []string{"example.org"}, HeldToken: "t"})
	r.becomes(d, "Programmed", isFalse, "RemovalHeld", "confirm-removal")
	r.board.Gateways.Post(r.gateway(), board.Gateway{})
	r.isReady(d)
}

func TestTheAnnotationAsksAtOnce(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.becomes(d, "Discoverable", isTrue, "Discoverable")
	r.isReady(d)
	asked, probes := r.authority.lookUps(), r.prober.probes()
	r.edit(d, func() {
		d.Annotations = map[string]string{v1alpha1.AnnotationProbe: "now", v1alpha1.AnnotationResetBackoff: strings.Repeat("ü", 300)}
	})
	r.untilIn(20*time.Millisecond, "the echo", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(d), d) == nil && d.Status.ProbeRequestedAt == "now" && d.Status.ResetBackoffRequestedAt == strings.Repeat("ü", 256)
	})
	if n, p := r.authority.lookUps()-asked, r.prober.probes()-probes; n != len(d.Status.Records) || p != 1 {
		t.Errorf("%d look-ups for %d records, and %d probes: publish/README.md counts on one each", n, len(d.Status.Records), p)
	}
}

// A new process looks at what is as it should be when its turn comes, but at what somebody asks it to at once.
func TestTheAnnotationAsksANewProcessAtOnce(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	r.restart()
	r.edit(d, func() { d.Annotations = map[string]string{v1alpha1.AnnotationProbe: "now"} })
	r.serve(d)
	asked := r.clock.Now()
	r.untilIn(time.Millisecond, "the echo", func(ctx context.Context) bool {
		if waited := r.clock.Since(asked); waited > 2*time.Second {
			t.Fatalf("not looked at %s after it was asked for", waited)
		}
		return r.Get(ctx, client.ObjectKeyFromObject(d), d) == nil && d.Status.ProbeRequestedAt == "now"
	})
}
