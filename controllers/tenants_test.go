package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Who wants dozens of large keys, which take seconds each, keeps no other namespace from its first.
func TestNobodyWaitsForTheKeysOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	many, one := c.Namespace(t), c.Namespace(t)
	key := func(namespace, name string, algorithm v1alpha1.KeyAlgorithm) {
		t.Helper()
		if err := c.Client.Create(t.Context(), &v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.DKIMKeySpec{
			Domain: v1alpha1.DomainName(name + ".example.org"),
			Source: v1alpha1.KeySource{Type: v1alpha1.KeyGenerated, Generated: &v1alpha1.GeneratedKey{Algorithm: algorithm}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	made := func(ctx context.Context, namespace string) int {
		var list corev1.SecretList
		if err := c.Client.List(ctx, &list, client.InNamespace(namespace), client.HasLabels{keylife.LabelOwned}); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	const count = 40
	for i := range count {
		key(many, fmt.Sprint("large-", i), v1alpha1.AlgorithmRSA4096)
	}
	startOperator(t, c.Config, Options{Namespaces: []string{many, one}, Authority: &authority{}, Prober: &prober{}}, setupSnapshot, setupDKIMKey)
	eventually(t, patience, func(ctx context.Context) string {
		if made(ctx, many) == 0 {
			return "no key is made"
		}
		return ""
	})
	before := made(t.Context(), many)
	key(one, "small", v1alpha1.AlgorithmEd25519)
	eventually(t, 2*patience, func(ctx context.Context) string {
		if made(ctx, one) == 0 {
			return fmt.Sprintf("of the others %d are made, of this one none", made(ctx, many))
		}
		return ""
	})
	if after := made(t.Context(), many); after > before+4 {
		t.Errorf("made after %d others", after-before)
	}
}

// Who says that it wrote another namespace's records, as they stand there already, keeps their owner neither from changing nor from taking
// them back.
func TestAStrangerHasNoPartInRecords(t *testing.T) {
	t.Parallel()
	r := newDomainRig(t)
	r.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.other, Name: "tsig"}, Data: map[string][]byte{"key": []byte(tsigSecret)}})
	stranger := &v1alpha1.FederatedDomain{ObjectMeta: metav1.ObjectMeta{Namespace: r.other, Name: "a"}, Spec: v1alpha1.FederatedDomainSpec{
		Domain: "example.org", GatewayRef: v1alpha1.GatewayRef{Name: "edge"}, Publish: r.update(), Backend: v1alpha1.Backend{Type: v1alpha1.BackendIMIP},
	}}
	stranger.Spec.Publish.RFC2136.TSIG.KeyName = "a-strangers"
	r.make(stranger) // the older one
	owner := r.domain("org", r.update())
	r.serve(owner)
	r.isReady(owner)
	r.serve(stranger)
	r.becomes(stranger, "Published", isTrue, "Published")
	if len(stranger.Status.Published.Records) != 2 || stranger.Status.Published.Records[0].Written == "" {
		t.Fatalf("the stranger claims nothing: %+v", stranger.Status.Published)
	}
	r.post(owner, board.Domain{Compiled: compiled(), Settings: &snapshot.Gateway{Host: "gw2.example.org"}, Hash: "abd", Written: true, Programmed: true})
	r.until("the owner changes its record", func(ctx context.Context) bool {
		answers, err := r.authority.Lookup(ctx, serviceName, "SRV")
		return err == nil && slices.Equal(answers.Servers[0].Data, []string{"0 0 443 gw2.example.org."})
	})
	r.isReady(owner)
	r.delete(owner)
	r.isGone(owner)
	if len(r.primary.Names()) > 0 {
		t.Errorf("left: %v", r.primary.Names())
	}
	r.delete(stranger)
	r.isGone(stranger)
}

// Who fills a shard with certificates is left out of it, and the domains of others that lie there change as ever.
func TestWhoFillsAShardIsLeftOut(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	greedy, modest := w.cluster.Namespace(t), w.cluster.Namespace(t)
	edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) {
		g.Spec.AllowedDomains = []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: []v1alpha1.HostPattern{"*"}, Proof: v1alpha1.ProofNotRequired}}
	})
	attached := func(namespace, domain string) *v1alpha1.FederatedDomain {
		d := w.plainDomain(domain)
		d.Namespace, d.Spec.GatewayRef.Namespace = namespace, w.ns
		return d
	}
	theirs, ours := "example.org", besideOf("example.org")
	w.make(attached(greedy, theirs), attached(modest, ours))
	o := w.operator(Options{Namespaces: []string{w.ns, greedy, modest}})
	w.serves(patience, theirs, ours)

	bundle := w.bundle(1000)
	for i := range 5 {
		at := metav1.ObjectMeta{Namespace: greedy, Name: fmt.Sprint("bundle-", i)}
		w.make(&corev1.Secret{ObjectMeta: at, Data: map[string][]byte{"ca.crt": bundle}})
		w.make(&v1alpha1.PeerPolicy{ObjectMeta: at, Spec: v1alpha1.PeerPolicySpec{
			Peers: []v1alpha1.DomainPattern{v1alpha1.DomainPattern(at.Name + ".example")}, Action: v1alpha1.ActionAllow,
			Outbound: &v1alpha1.Outbound{CABundleRef: &v1alpha1.BundleRef{Kind: v1alpha1.BundleSecret, Name: at.Name, Key: "ca.crt"}},
		}})
	}
	w.serves(patience, ours)
	eventually(t, patience, func(context.Context) string {
		post, _ := o.board.Domains.Get(client.ObjectKey{Namespace: greedy, Name: "example-org"})
		if post.Compiled != nil || !strings.Contains(findingsOf(post), v1alpha1.ReasonTooLarge) {
			return "told: " + findingsOf(post)
		}
		return ""
	})
	edit(w, attached(modest, ours), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if len(s.Domains) != 1 || s.Domains[0].Backend.ISchedule.URL != "https://other.example.org/" {
			return "the edit is not served"
		}
		return ""
	})
	w.gateway(o, patience, func(p board.Gateway) string { return p.Problem })
	for i := range 4 {
		w.delete(&v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: greedy, Name: fmt.Sprint("bundle-", i)}})
	}
	w.serves(patience, theirs, ours)
}
