package controllers

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestDeletionWaitsForTheNameServer(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	r.primary.SetUnavailable(true)
	r.delete(d)
	r.becomes(d, "Published", isFalse, "Terminating", "closes the connection", finalizer)
	r.becomes(d, "Ready", isFalse, "Terminating")
	r.primary.SetUnavailable(false)
	r.isGone(d)
	if len(r.primary.Names()) > 0 {
		t.Errorf("left: %v", r.primary.Names())
	}
}

func TestDeletionWithoutCredentialsTriesOnce(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	r.delete(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "tsig"}})
	r.delete(d)
	r.isGone(d)
	r.event(r.ns, "RecordsLeft", "remove by hand", serviceName+" SRV", "cal1._domainkey.example.org. TXT")
}

func TestANamespaceThatGoesIsNotHeldUp(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)
	team := d.DeepCopy()
	team.ObjectMeta = metav1.ObjectMeta{Namespace: r.ns, Name: "team"}
	team.Spec.Domain = "team.example.org"
	r.make(team)
	teams := compiled()
	teams.Name = "team.example.org"
	r.post(team, board.Domain{Compiled: teams, Hash: "t", Written: true, Programmed: true})
	r.isReady(team)
	r.primary.SetUnavailable(true)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.ns}}
	r.delete(ns)
	r.isGone(d)
	r.isGone(team)
	r.event("default", "RecordsLeft", "FederatedDomain org: ", "remove by hand", serviceName+" SRV")
	r.event("default", "RecordsLeft", "FederatedDomain team: ", "remove by hand", "_ischedules._tcp.team.example.org. SRV")
	r.untilIn(0, "the namespace goes", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKeyFromObject(ns), ns))
	})
}

func TestAnotherNameServerIsAnotherPlace(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	second := primarytest.New(t, primarytest.Options{Zones: rigZone, Keys: map[string]string{tsigName: tsigSecret}})
	d := r.domain("org", r.update())
	r.serve(d)
	r.isReady(d)

	r.edit(d, func() { d.Spec.Publish.RFC2136.Server = second.Addr() })
	r.authority.ask(second.Addr())
	r.serve(d)
	r.isReady(d)
	if len(r.primary.Names()) > 0 || len(second.Names()) != 2 {
		t.Errorf("old: %v, new: %v", r.primary.Names(), second.Names())
	}

	second.SetUnavailable(true)
	r.edit(d, func() { d.Spec.Publish.RFC2136.Server = r.primary.Addr() })
	r.authority.ask(r.primary.Addr())
	r.serve(d)
	r.event(r.ns, "RecordsLeft", second.Addr(), serviceName)
	r.isReady(d)

	r.edit(d, func() { d.Spec.Publish = nil })
	r.serve(d)
	r.becomes(d, "Published", isFalse, "NotPublished")
	r.until("the finalizer goes", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(d), d) == nil && len(d.Finalizers) == 0 && d.Status.Published == nil
	})
	if len(r.primary.Names()) > 0 {
		t.Errorf("left: %v", r.primary.Names())
	}
}

func TestDomainsThatShareARecordLeaveItToEachOther(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	parent := r.domain("org", r.update())
	child := parent.DeepCopy()
	child.ObjectMeta = metav1.ObjectMeta{Namespace: r.ns, Name: "team"}
	child.Spec.Domain = "team.example.org"
	r.make(child)
	r.serve(parent)
	teams := compiled()
	teams.Name = "team.example.org"
	post := board.Domain{Compiled: teams, Hash: "t", Written: true, Programmed: true}
	r.post(child, post)
	r.isReady(parent)
	r.isReady(child)

	r.delete(parent)
	r.isGone(parent)
	want := []string{"_ischedules._tcp.team.example.org. SRV", "cal1._domainkey.example.org. TXT"}
	if diff := cmp.Diff(want, r.primary.Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.delete(child)
	r.isGone(child)
	if len(r.primary.Names()) > 0 {
		t.Errorf("left: %v", r.primary.Names())
	}
}

func TestOwnershipIsLostSlowly(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	name := "_calfed-challenge.example.org"
	r.post(d, board.Domain{Candidate: compiled()})
	r.primary.Set(t, name+`. IN TXT "calfed-domain-verification=another"`)
	r.becomes(d, "OwnershipProven", isFalse, "ProofMissing", "ns1.example.org has calfed-domain-verification=another")
	r.own(r.ns)
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
	r.serve(d)
	r.isReady(d)

	// a name server that does not answer, or an hour that is not over, takes nothing away
	r.authority.ask("127.0.0.1:1")
	asked := r.authority.lookUps()
	r.untilIn(time.Minute, "looks in the dark", func(context.Context) bool { return r.authority.lookUps() > asked+20 })
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
	r.primary.Remove(name, "TXT")
	r.authority.ask(r.primary.Addr())
	gone := r.clock.Now()
	r.untilIn(20*time.Second, "the loss", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(d), d) == nil && proofOf(d) == isFalse
	})
	if after := r.clock.Since(gone); after < lostTime {
		t.Errorf("lost after %s", after)
	}
	r.event(r.ns, "ProofMissing")
	r.post(d, board.Domain{Candidate: compiled()})
	r.until("the records are taken back", func(context.Context) bool { return len(r.primary.Names()) == 0 })

	// who proves it again has it again
	r.own(r.ns)
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
}

func proofOf(d *v1alpha1.FederatedDomain) metav1.ConditionStatus {
	for _, c := range d.Status.Conditions {
		if c.Type == v1alpha1.ConditionOwnershipProven {
			return c.Status
		}
	}
	return isUnknown
}

func TestNoProofIsAskedWhereNoneIsRequired(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.serve(d)
	r.becomes(d, "OwnershipProven", isTrue, "NotRequired")
	if d.Status.Ownership != nil {
		t.Errorf("%+v", d.Status.Ownership)
	}
}

// A proof for one gateway proves nothing for another.
func TestAnotherGatewayAsksForAnotherProof(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", r.update())
	r.own(r.ns)
	r.post(d, board.Domain{Candidate: compiled()})
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
	r.post(d, board.Domain{Compiled: compiled(), Settings: &snapshot.Gateway{Host: "other.example.org"}, Written: true, Programmed: true})
	r.becomes(d, "OwnershipProven", isFalse, "ProofMissing")
}

func TestExternalDNSPublishes(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := r.domain("org", &v1alpha1.Publish{Type: v1alpha1.PublishExternalDNS})
	r.serve(d)
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(publish.EndpointKind)
	exists := func(ctx context.Context) bool { return r.Get(ctx, client.ObjectKeyFromObject(d), o) == nil }
	r.until("the DNSEndpoint", exists)
	r.becomes(d, "Published", isFalse, "Propagating", "nothing")
	if len(d.Finalizers) > 0 {
		t.Errorf("the owner reference does it: %v", d.Finalizers)
	}
	r.primary.Set(t, serviceName+" IN SRV 0 0 443 gw.example.org.\ncal1._domainkey.example.org. IN TXT \""+keyRecord+"\"\n") // as external-dns would
	r.isReady(d)

	r.delete(o)
	r.primary.Remove(serviceName, "SRV")
	r.until("the DNSEndpoint is made again", exists)
	r.edit(d, func() { d.Spec.Publish = nil })
	r.serve(d)
	r.until("the DNSEndpoint goes", func(ctx context.Context) bool { return !exists(ctx) })
}

// Who has proven team.example.org does not get a key of example.org written with external-dns's rights.
func TestExternalDNSPublishesBelowTheProvenNameOnly(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	d := &v1alpha1.FederatedDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "team"},
		Spec: v1alpha1.FederatedDomainSpec{
			Domain: "team.example.org", GatewayRef: v1alpha1.GatewayRef{Name: "edge"}, Publish: &v1alpha1.Publish{Type: v1alpha1.PublishExternalDNS},
			Signing: &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "cal"}}},
			Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://cal.example.org/ischedule"}},
		},
	}
	r.make(d)
	name, value := records.Challenge("gw.example.org", r.gateway().String(), r.ns, "team.example.org")
	r.primary.Set(t, name+`. IN TXT "`+value+`"`)
	teams := compiled()
	teams.Name = "team.example.org"
	r.post(d, board.Domain{Candidate: teams})
	r.becomes(d, "OwnershipProven", isTrue, "Proven")
	r.post(d, board.Domain{Compiled: teams, Written: true, Programmed: true})
	r.becomes(d, "Published", isFalse, "Propagating", "_ischedules._tcp.team.example.org")
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(publish.EndpointKind)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(d), o); err != nil {
		t.Fatal(err)
	}
	if list, _, _ := unstructured.NestedSlice(o.Object, "spec", "endpoints"); len(list) != 1 {
		t.Errorf("%v", list)
	}
	r.primary.Set(t, "_ischedules._tcp.team.example.org. IN SRV 0 0 443 gw.example.org.")
	r.becomes(d, "Published", isFalse, "NotPublished", "TXT cal1._domainkey.example.org")
}
