package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// What somebody else wrote or deleted is put right, by the one that leads.
func TestForeignWritesArePutRight(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	w.operator(Options{})
	before := w.serves(patience, "example.org")
	shard := snapshot.ShardName("edge", snapshot.ShardOf("example.org"))

	rows := []struct {
		name string
		harm func()
	}{
		{"a shard is overwritten", func() {
			edit(w, &corev1.Secret{ObjectMeta: w.meta(shard)}, func(s *corev1.Secret) { s.Data[snapshot.ShardKey] = []byte("poison") })
		}},
		{"a shard is deleted", func() { w.delete(&corev1.Secret{ObjectMeta: w.meta(shard)}) }},
		{"the index is overwritten", func() {
			edit(w, &corev1.Secret{ObjectMeta: w.meta(snapshot.IndexName("edge"))}, func(s *corev1.Secret) {
				s.Data[snapshot.IndexKey] = []byte("poison")
				s.Annotations = nil
			})
		}},
		{"the index is deleted", func() { w.delete(&corev1.Secret{ObjectMeta: w.meta(snapshot.IndexName("edge"))}) }},
	}
	serial := before.Serial
	for _, row := range rows {
		row.harm()
		eventually(t, patience, func(ctx context.Context) string {
			s, x := w.whole(ctx)
			switch {
			case s == nil:
				return row.name + ": not put right"
			case x.Serial < serial || x.Gateway.Capabilities.Serial < before.Gateway.Capabilities.Serial:
				return fmt.Sprintf("%s: serials %d and %d went back", row.name, x.Serial, x.Gateway.Capabilities.Serial)
			}
			serial = x.Serial
			return ""
		})
	}
}

// whole is served, nil while a part cannot be read.
func (w *world) whole(ctx context.Context) (*snapshot.Snapshot, *snapshot.Index) {
	secret, ok := w.parts(ctx)[snapshot.IndexName("edge")]
	if _, err := snapshot.DecodeIndex(secret.Data[snapshot.IndexKey]); !ok || err != nil {
		return nil, nil
	}
	return w.served(ctx)
}

// An operator that no longer leads writes nothing, whatever it would write.
func TestStaleLeaderWritesNothing(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	stale := w.operator(Options{Leading: func(context.Context) error { return errors.New("somebody else") }})
	w.serves(patience, "example.org")

	// the other leader: it wrote something else than this one would
	shard := snapshot.ShardName("edge", snapshot.ShardOf("example.org"))
	foreign := &corev1.Secret{ObjectMeta: w.meta(shard)}
	edit(w, foreign, func(s *corev1.Secret) { s.Data[snapshot.ShardKey] = []byte("of another version") })
	edit(w, w.plainDomain("example.org"), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	want := w.versions()
	w.domainPost(stale, "example-org", patience, func(p board.Domain) string {
		if p.Generation != 2 {
			return "the edit was not seen"
		}
		return ""
	})
	if diff := gocmp.Diff(want, w.versions()); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
}

// Two operators that both think they lead agree, and the snapshot stays whole.
func TestTwoOperatorsConverge(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	domains := w.plainDomains(10)
	w.operator(Options{})
	w.operator(Options{})
	w.serves(patience, domains...)
	for i := range 5 {
		domains = append(domains, fmt.Sprintf("more%d.example.org", i))
		w.make(w.plainDomain(domains[len(domains)-1]))
		w.serves(patience, domains...)
	}
}

// An API server that goes and comes back loses nothing, and what changed meanwhile goes out.
func TestAPIServerRestarts(t *testing.T) {
	c := kubetest.New(t, kubetest.Options{})
	w := newWorld(t, c)
	w.make(w.plainDomain("example.org"))
	o := w.operator(Options{})
	w.serves(patience, "example.org")
	before := w.versions()
	c.StopAPIServer(t)
	c.StartAPIServer(t)
	if diff := gocmp.Diff(before, w.versions()); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
	w.make(w.plainDomain("example.net"))
	w.serves(2*patience, "example.org", "example.net")
	c.StopAPIServer(t)
	o.stop() // ends although nobody answers
	c.StartAPIServer(t)
}

// A shard that fits no Secret is told by its number; all others go out, and what it held stays served.
func TestShardTooLarge(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"), w.plainDomain("example.net"))
	o := w.operator(Options{})
	w.serves(patience, "example.org", "example.net")

	t.Log("certificate bundles that do not pack well")
	const bundles = 5
	bundle := w.bundle(1000)
	for i := range bundles {
		name := fmt.Sprint("bundle-", i)
		w.make(&corev1.Secret{ObjectMeta: w.meta(name), Data: map[string][]byte{"ca.crt": bundle}})
	}
	number := snapshot.ShardOf("example.org")
	for i := range bundles {
		name := fmt.Sprint("bundle-", i)
		w.make(&v1alpha1.PeerPolicy{ObjectMeta: w.meta(name), Spec: v1alpha1.PeerPolicySpec{
			Domains: []v1alpha1.DomainPattern{"example.org"}, Peers: []v1alpha1.DomainPattern{v1alpha1.DomainPattern(name + ".example")}, Action: v1alpha1.ActionAllow,
			Outbound: &v1alpha1.Outbound{CABundleRef: &v1alpha1.BundleRef{Kind: v1alpha1.BundleSecret, Name: name, Key: "ca.crt"}},
		}})
	}
	post := w.gateway(o, patience, func(p board.Gateway) string {
		if p.Problem == "" {
			return "no problem"
		}
		return ""
	})
	if want := fmt.Sprintf("shard %03d ", number); !strings.Contains(post.Problem, want) || !strings.HasPrefix(post.Problem, v1alpha1.ReasonTooLarge) {
		t.Errorf("problem %q, want %s and %s", post.Problem, v1alpha1.ReasonTooLarge, want)
	}
	edit(w, w.plainDomain("example.net"), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if len(s.Domains) != 2 || s.Domains[0].Backend.ISchedule.URL != "https://other.example.org/" {
			return "the other domain's edit is not served"
		}
		return ""
	})
	for i := range bundles {
		w.delete(&v1alpha1.PeerPolicy{ObjectMeta: w.meta(fmt.Sprint("bundle-", i))})
	}
	w.gateway(o, patience, func(p board.Gateway) string { return p.Problem })
}

// A quota that refuses a Secret is told with what to do; once it is raised, the Secret is written without an edit.
func TestQuotaRefuses(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	o := w.operator(Options{})
	w.serves(patience, "example.org")
	quota := &corev1.ResourceQuota{ObjectMeta: w.meta("secrets"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("1")}}}
	w.make(quota)
	// in place of the controller that counts
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"count/secrets": resource.MustParse("3")}}
	if err := w.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	w.make(w.plainDomain("example.net"))
	w.gateway(o, patience, func(p board.Gateway) string {
		if !strings.Contains(p.Problem, "ResourceQuota") {
			return "problem: " + p.Problem
		}
		return ""
	})
	w.serves(patience, "example.org") // as before
	w.delete(quota)
	w.serves(patience, "example.org", "example.net")
	w.gateway(o, patience, func(p board.Gateway) string { return p.Problem })
}

// A namespace that goes takes all with it; the operator makes nothing in it any more and says nothing of it.
func TestNamespaceGoes(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	o := w.operator(Options{})
	w.serves(patience, "example.org")
	ns := &corev1.Namespace{}
	ns.Name = w.ns
	w.delete(ns)
	eventually(t, patience, func(context.Context) string {
		if len(w.versions()) > 0 {
			return "Secrets are left"
		}
		if _, posted := o.board.Gateways.Get(types.NamespacedName{Namespace: w.ns, Name: "edge"}); posted {
			return "the gateway is still told of"
		}
		return ""
	})
}

// A clock that jumps, forth or back, holds up no change and writes nothing by itself.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	clock := testingclock.NewFakeClock(time.Now())
	w.operator(Options{Clock: clock})
	x := w.serves(patience, "example.org")
	domains := []string{"example.org"}
	for i, jump := range []time.Duration{48 * time.Hour, -96 * time.Hour} {
		clock.SetTime(clock.Now().Add(jump))
		domains = append(domains, fmt.Sprintf("d%d.example.org", i))
		w.make(w.plainDomain(domains[len(domains)-1]))
		after := w.serves(changeTime, domains...)
		if after.Gateway.Capabilities.Serial != x.Gateway.Capabilities.Serial {
			t.Errorf("the capability serial went from %d to %d", x.Gateway.Capabilities.Serial, after.Gateway.Capabilities.Serial)
		}
	}
}

// The capability serial survives the operator, grows with each change of the document, and falls never.
//
// Proves: IS-CAP-2
func TestCapabilitySerialSurvives(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	o := w.operator(Options{})
	first := w.serves(patience, "example.org").Gateway.Capabilities.Serial
	change := func(recipients int32) {
		edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) {
			g.Spec.Capabilities = &v1alpha1.Capabilities{MaxRecipients: &recipients}
		})
	}
	change(7)
	second := w.capabilities(7)
	if second != first+1 {
		t.Errorf("serial %d after %d", second, first)
	}
	o.stop()
	change(8)
	w.operator(Options{})
	if third := w.capabilities(8); third != second+1 {
		t.Errorf("serial %d after %d and a restart", third, second)
	}
}

// capabilities waits until so many recipients are advertised, and returns the serial.
func (w *world) capabilities(recipients int) uint64 {
	w.t.Helper()
	return w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if s.Gateway.Capabilities.MaxRecipients != recipients {
			return fmt.Sprint("recipients: ", s.Gateway.Capabilities.MaxRecipients)
		}
		return ""
	}).Gateway.Capabilities.Serial
}

// Keys and policies that nobody uses are told of too, and no longer once somebody does.
func TestUnusedIsTold(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(&v1alpha1.PeerPolicy{ObjectMeta: w.meta("idle"), Spec: v1alpha1.PeerPolicySpec{
		Domains: []v1alpha1.DomainPattern{"example.org"}, Peers: []v1alpha1.DomainPattern{"*"}, Action: v1alpha1.ActionAllow,
	}})
	d := w.domain("example.org")
	w.delete(d)
	o := w.operator(Options{})
	unused := func(findings []compile.Finding) bool {
		return len(findings) == 1 && findings[0].Reason == v1alpha1.ReasonUnused
	}
	told := func(want bool) {
		t.Helper()
		eventually(t, patience, func(context.Context) string {
			k, keyPosted := o.board.Keys.Get(types.NamespacedName{Namespace: w.ns, Name: "example-org"})
			p, policyPosted := o.board.Policies.Get(types.NamespacedName{Namespace: w.ns, Name: "idle"})
			var key v1alpha1.DKIMKey
			if err := w.Get(t.Context(), types.NamespacedName{Namespace: w.ns, Name: "example-org"}, &key); err != nil || k.UID != key.UID || k.Generation != key.Generation {
				return fmt.Sprintf("the post of key %s is of another: %+v (%v)", key.UID, k, err)
			}
			if !keyPosted || !policyPosted || unused(k.Findings) != want || unused(p.Findings) != want || len(k.Domains) > 0 == want || len(p.Domains) > 0 == want {
				return fmt.Sprintf("key: %+v, policy: %+v", k, p)
			}
			return ""
		})
	}
	told(true)
	again := w.plainDomain("example.org")
	again.Spec.Signing = d.Spec.Signing
	w.make(again)
	told(false)
	w.delete(again)
	told(true)
}

// bundle is so many certificates, PEM.
func (w *world) bundle(count int) []byte {
	w.t.Helper()
	var out []byte
	for range count {
		s := w.certificate()
		out = append(out, s.Data["tls.crt"]...)
	}
	return out
}
