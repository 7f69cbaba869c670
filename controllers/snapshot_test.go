package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Whatever changes, the Secrets of the snapshot follow within two seconds.
func TestChangesReachTheCluster(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.domain("example.org")
	o := w.operator(Options{})
	w.serves(patience, "example.org")

	keyOf := func(s *snapshot.Snapshot) string {
		if len(s.Domains) == 0 || len(s.Domains[0].Signing.Keys) == 0 {
			return ""
		}
		return string(s.Domains[0].Signing.Keys[0].Private)
	}
	rows := []struct {
		name   string
		change func()
		seen   func(s *snapshot.Snapshot) bool
	}{
		{"a domain comes", func() { w.domain("example.net") }, func(s *snapshot.Snapshot) bool { return len(s.Domains) == 2 }},
		{"a domain goes", func() { w.delete(w.plainDomain("example.net")) }, func(s *snapshot.Snapshot) bool { return len(s.Domains) == 1 }},
		{"a domain's back end", func() {
			edit(w, w.plainDomain("example.org"), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
		}, func(s *snapshot.Snapshot) bool {
			return s.Domains[0].Backend.ISchedule.URL == "https://other.example.org/"
		}},
		{"the Secret of a key", func() {
			edit(w, &corev1.Secret{ObjectMeta: w.meta("example-org")}, func(s *corev1.Secret) { s.Data["private.key"] = append(privateKey(t), '\n') })
		}, func(s *snapshot.Snapshot) bool { return strings.HasSuffix(keyOf(s), "\n\n") }},
		{"a Secret that goes", func() { w.delete(&corev1.Secret{ObjectMeta: w.meta("example-org")}) }, func(s *snapshot.Snapshot) bool { return keyOf(s) == "" }},
		{"a Secret that comes", func() {
			w.make(&corev1.Secret{ObjectMeta: w.meta("example-org"), Data: map[string][]byte{"private.key": privateKey(t)}})
		}, func(s *snapshot.Snapshot) bool { return keyOf(s) != "" }},
		{"a key", func() {
			edit(w, &v1alpha1.DKIMKey{ObjectMeta: w.meta("example-org")}, func(k *v1alpha1.DKIMKey) { k.Spec.ServiceType = v1alpha1.ServiceISchedule })
		}, func(s *snapshot.Snapshot) bool {
			return strings.Contains(s.Domains[0].Signing.Keys[0].Record, "s=ischedule")
		}},
		{"a policy comes", func() {
			w.make(&v1alpha1.PeerPolicy{ObjectMeta: w.meta("partner"), Spec: v1alpha1.PeerPolicySpec{Peers: []v1alpha1.DomainPattern{"partner.example"}, Action: v1alpha1.ActionAllow}})
		}, func(s *snapshot.Snapshot) bool { return len(s.Policies) == 1 }},
		{"a policy that covers others", func() {
			edit(w, &v1alpha1.PeerPolicy{ObjectMeta: w.meta("partner")}, func(p *v1alpha1.PeerPolicy) { p.Spec.Domains = []v1alpha1.DomainPattern{"*.example.org"} })
		}, func(s *snapshot.Snapshot) bool { return len(s.Policies) == 0 }},
		{"the certificate of the gateway", func() {
			fresh := w.certificate()
			edit(w, &corev1.Secret{ObjectMeta: w.meta("edge-tls")}, func(s *corev1.Secret) { s.Data = fresh.Data })
			w.newest = fresh.Data["tls.crt"]
		}, func(s *snapshot.Snapshot) bool { return string(s.Gateway.TLS.Certificate) == string(w.newest) }},
		{"the settings of the gateway", func() {
			edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) { g.Spec.DefaultPolicy = v1alpha1.ActionAllow })
		}, func(s *snapshot.Snapshot) bool { return s.Gateway.DefaultAction == snapshot.Allow }},
	}
	for _, row := range rows {
		t.Log(row.name)
		row.change()
		w.waitServed(changeTime, func(s *snapshot.Snapshot) string {
			if !row.seen(s) {
				return row.name + ": not in the snapshot"
			}
			return ""
		})
	}
	post := w.gateway(o, patience, func(p board.Gateway) string { return p.Problem })
	if post.Domains != 1 || post.IndexUID == "" || post.Serial == 0 || post.Settings == nil || post.Generation != 2 {
		t.Errorf("posted: %d domains, index %q, serial %d, generation %d", post.Domains, post.IndexUID, post.Serial, post.Generation)
	}
}

// A change of one domain costs one shard and the index, and the Secrets are as the pods' Role expects them.
func TestOneDomainChangesOneShard(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	domains := w.plainDomains(40)
	w.operator(Options{})
	w.serves(patience, domains...)
	before := w.versions()

	edit(w, w.plainDomain(domains[7]), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		for i := range s.Domains {
			if s.Domains[i].Name == domains[7] && s.Domains[i].Backend.ISchedule.URL == "https://other.example.org/" {
				return ""
			}
		}
		return "not in the snapshot"
	})
	var after map[string]string
	eventually(t, patience, func(context.Context) string { // a shard serves before the index names it, which is written last
		if after = w.versions(); after[snapshot.IndexName("edge")] == before[snapshot.IndexName("edge")] {
			return "the index was not written"
		}
		return ""
	})
	var changed []string
	for name, version := range after {
		if before[name] != version {
			changed = append(changed, name)
		}
	}
	want := map[string]bool{snapshot.IndexName("edge"): true, snapshot.ShardName("edge", snapshot.ShardOf(domains[7])): true}
	for _, name := range changed {
		if !want[name] {
			t.Errorf("%s was written", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not written: %v", want)
	}
	for name, s := range w.parts(t.Context()) {
		owner := metav1.GetControllerOf(&s)
		if owner == nil || owner.Kind != v1alpha1.KindFederationGateway || owner.Name != "edge" {
			t.Errorf("%s: owned by %v", name, owner)
		}
		if s.Type != corev1.SecretTypeOpaque || s.Labels[labelInstance] != "edge" || s.Labels["app.kubernetes.io/managed-by"] != "calfed" {
			t.Errorf("%s: type %s, labels %v", name, s.Type, s.Labels)
		}
	}
}

// A restart, and a gateway whose number of pods changes, write nothing; neither does an edit that means nothing.
func TestUnchangedOutputWritesNothing(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	domains := append(w.plainDomains(30), "example.org")
	w.domain("example.org")
	for _, peers := range [][]v1alpha1.DomainPattern{{"a.example"}, {"b.example", "c.example"}, {"*.example"}} {
		w.make(&v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, GenerateName: "policy-"}, Spec: v1alpha1.PeerPolicySpec{Peers: peers, Action: v1alpha1.ActionAllow}})
	}
	o := w.operator(Options{})
	w.serves(patience, domains...)
	before := w.versions()
	o.stop()

	o = w.operator(Options{})
	w.gateway(o, patience, func(p board.Gateway) string {
		if p.Domains != len(domains) {
			return fmt.Sprint("domains: ", p.Domains)
		}
		return ""
	})
	edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) { g.Spec.Replicas = new(int32) })
	w.gateway(o, patience, func(p board.Gateway) string {
		if p.Generation != 2 {
			return "the edit was not seen"
		}
		return ""
	})
	if diff := gocmp.Diff(before, w.versions()); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
}

// More than a fifth of the domains go only when a person confirms it; meanwhile all other changes go out, also to domains and
// policies that lie beside those that wait.
func TestMassRemovalWaits(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	domains := w.plainDomains(20)
	policy := &v1alpha1.PeerPolicy{ObjectMeta: w.meta("all"), Spec: v1alpha1.PeerPolicySpec{
		Peers: []v1alpha1.DomainPattern{"partner.example"}, Action: v1alpha1.ActionAllow, Inbound: &v1alpha1.Inbound{Rate: "1/s"},
	}}
	w.make(policy)
	o := w.operator(Options{})
	w.serves(patience, domains...)
	o.stop() // so that all goes at once

	for _, d := range domains[:8] {
		w.delete(w.plainDomain(d))
	}
	w.make(w.plainDomain("new.example.org"))
	o = w.operator(Options{})
	post := w.gateway(o, patience, func(p board.Gateway) string {
		if len(p.Held) == 0 {
			return "nothing is held"
		}
		return ""
	})
	if len(post.Held) != 8 || post.HeldToken == "" {
		t.Errorf("held: %v, token %q", post.Held, post.HeldToken)
	}
	w.serves(patience, slices.Concat(domains, []string{"new.example.org"})...)
	beside := besideOf(domains[0])
	w.make(w.plainDomain(beside))
	w.serves(patience, slices.Concat(domains, []string{"new.example.org", beside})...)
	edit(w, policy, func(p *v1alpha1.PeerPolicy) { p.Spec.Inbound.Rate = "2/s" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		rates := map[string]float64{}
		for _, p := range s.Policies {
			rates[p.ID] = p.Inbound.Rate
		}
		for _, d := range s.Domains {
			want := 2.
			if d.Name == domains[0] {
				want = 1
			}
			if d.Name != beside && d.Name != domains[0] {
				continue
			}
			if len(d.Policies) != 1 || rates[d.Policies[0]] != want {
				return fmt.Sprintf("%s: policies %v with rates %v", d.Name, d.Policies, rates)
			}
		}
		return ""
	})
	edit(w, w.plainDomain(beside), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://beside.example.org/" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if !slices.ContainsFunc(s.Domains, func(d snapshot.Domain) bool {
			return d.Name == beside && d.Backend.ISchedule.URL == "https://beside.example.org/"
		}) {
			return "the edit beside a domain that waits did not go out"
		}
		return ""
	})

	annotate := func(token string) {
		edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) {
			g.Annotations = map[string]string{v1alpha1.AnnotationConfirmRemoval: token}
		})
	}
	annotate("something else")
	edit(w, w.plainDomain(domains[12]), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		for i := range s.Domains {
			if s.Domains[i].Backend.ISchedule.URL == "https://other.example.org/" {
				return ""
			}
		}
		return "the edit of another domain did not go out"
	})
	if post := w.gateway(o, patience, func(board.Gateway) string { return "" }); len(post.Held) != 8 {
		t.Errorf("another value confirmed: held %v", post.Held)
	}
	annotate(post.HeldToken)
	w.serves(changeTime, slices.Concat(domains[8:], []string{"new.example.org", beside})...)
	w.gateway(o, patience, func(p board.Gateway) string {
		if len(p.Held) > 0 || p.Confirmed != post.HeldToken {
			return fmt.Sprintf("held %v, confirmed %q", p.Held, p.Confirmed)
		}
		return ""
	})
}

// besideOf is another domain that lies in the shard of this one.
func besideOf(domain string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprintf("beside%d.example.net", i); snapshot.ShardOf(other) == snapshot.ShardOf(domain) {
			return other
		}
	}
}

// What cannot be read leaves the last state; what is missing or bad is named at the object that refers to it.
func TestMissingAndBadSecrets(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.domain("example.org")
	o := w.operator(Options{})
	w.serves(patience, "example.org")

	t.Log("a key that is none")
	edit(w, &corev1.Secret{ObjectMeta: w.meta("example-org")}, func(s *corev1.Secret) { s.Data["private.key"] = []byte("hello") })
	eventually(t, patience, func(context.Context) string {
		k, _ := o.board.Keys.Get(types.NamespacedName{Namespace: w.ns, Name: "example-org"})
		if len(k.Findings) == 0 || !strings.Contains(k.Findings[0].Message, `Secret "example-org"`) {
			return fmt.Sprint("findings of the key: ", k.Findings)
		}
		return ""
	})
	t.Log("the gateway's certificate is gone")
	w.delete(&corev1.Secret{ObjectMeta: w.meta("edge-tls")})
	w.gateway(o, patience, func(p board.Gateway) string {
		if p.Settings != nil || len(p.Findings) == 0 || p.Findings[0].Reason != v1alpha1.ReasonRefNotFound {
			return fmt.Sprint("findings of the gateway: ", p.Findings)
		}
		return ""
	})
	w.serves(patience, "example.org") // as before
	t.Log("and comes back")
	w.make(w.certificate())
	w.gateway(o, changeTime, func(p board.Gateway) string {
		if p.Settings == nil {
			return "still not compiled"
		}
		return ""
	})
}

// A domain whose gateway is not there says so; one that two objects claim goes to the older, and to the other when that goes.
func TestDomainsWithoutGateway(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	lost := w.plainDomain("lost.example.org")
	lost.Spec.GatewayRef.Name = "nowhere"
	w.make(lost)
	o := w.operator(Options{})
	w.domainPost(o, lost.Name, patience, func(p board.Domain) string {
		if !strings.Contains(findingsOf(p), v1alpha1.ReasonRefNotFound) {
			return "findings: " + findingsOf(p)
		}
		return ""
	})
	w.make(w.plainDomain("example.org"))
	w.serves(patience, "example.org")
	rival := w.plainDomain("example.org")
	rival.Name = "rival"
	w.make(rival)
	w.domainPost(o, "rival", patience, func(p board.Domain) string {
		if !strings.Contains(findingsOf(p), v1alpha1.ReasonConflict) {
			return "findings: " + findingsOf(p)
		}
		return ""
	})
	w.delete(w.plainDomain("example.org"))
	w.domainPost(o, "rival", patience, func(p board.Domain) string {
		if p.Compiled == nil || !p.Written {
			return "the other one is not served: " + findingsOf(p)
		}
		return ""
	})
	if _, posted := o.board.Domains.Get(types.NamespacedName{Namespace: w.ns, Name: "example-org"}); posted {
		t.Error("something is still said of the domain that is gone")
	}
	t.Log("the gateway comes")
	edit(w, lost, func(d *v1alpha1.FederatedDomain) { d.Spec.GatewayRef.Name = "edge" })
	w.domainPost(o, lost.Name, patience, func(p board.Domain) string {
		if !p.Written {
			return "not served: " + findingsOf(p)
		}
		return ""
	})
}

func (w *world) delete(o client.Object) {
	w.t.Helper()
	if err := w.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// plainDomains makes so many domains and returns them.
func (w *world) plainDomains(count int) []string {
	w.t.Helper()
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("d%03d.example.org", i))
		w.make(w.plainDomain(names[i]))
	}
	return names
}
