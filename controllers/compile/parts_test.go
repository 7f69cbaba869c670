package compile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Compiled in 256 parts, all at the same time and in any order, and put together, a gateway is what it is compiled at once. What
// comes out is accepted by a gateway, whatever tenants write.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	base := minimalGateway(t)
	keys := [][]byte{ed25519Key(t, 1), ed25519Key(t, 2), ed25519Key(t, 3)}
	rapid.Check(t, func(t *rapid.T) {
		in := randomTenants(t, base, keys)
		whole := compile.Compile(in)
		seed := rapid.Uint64().Draw(t, "order")
		assembled, findings := inParts(t, in, seed)
		if diff := cmp.Diff(encoded(t, whole.Snapshot), encoded(t, assembled)); diff != "" {
			t.Fatalf("(-whole +parts):\n%s", diff)
		}
		ofDomains := func(f compile.Finding) bool {
			return f.Kind != v1alpha1.KindFederatedDomain && f.Kind != v1alpha1.KindDKIMKey
		}
		want := slices.DeleteFunc(slices.Clone(whole.Findings), ofDomains)
		got := slices.DeleteFunc(findings, ofDomains)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("findings (-whole +parts):\n%s", diff)
		}
		if _, err := snapshot.Activate(assembled); err != nil {
			t.Fatal(err)
		}
		checkPart(t, compile.CompileDomains(compile.CompileGateway(in), in))
	})
}

func encoded(t *rapid.T, s *snapshot.Snapshot) string {
	b, err := snapshot.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// inParts compiles in parts and puts them together as a gateway pod does.
func inParts(t *rapid.T, in compile.Input, seed uint64) (*snapshot.Snapshot, []compile.Finding) {
	sh := compile.CompileGateway(in)
	inputs := partsOf(in)
	parts := make([]compile.Part, len(inputs))
	var wait sync.WaitGroup
	for i := range inputs {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		part := inputs[i]
		part.Gateway = nil
		part.Domains, part.Keys, part.Policies, part.Secrets = shuffled(rnd, part.Domains), shuffled(rnd, part.Keys), shuffled(rnd, part.Policies), shuffled(rnd, part.Secrets)
		wait.Go(func() { parts[i] = compile.CompileDomains(sh, part) })
	}
	wait.Wait()
	index := &snapshot.Index{Format: snapshot.FormatVersion, Serial: 1, Gateway: sh.Settings}
	var shards []*snapshot.Shard
	var findings []compile.Finding
	for i, part := range parts {
		findings = append(findings, part.Findings...)
		checkPart(t, part)
		if len(part.Domains) == 0 {
			continue
		}
		shard := &snapshot.Shard{Number: i, Serial: 1, Domains: part.Domains, Policies: part.Policies}
		b, err := snapshot.EncodeShard(shard)
		if err != nil {
			t.Fatal(err)
		}
		if shard, err = snapshot.DecodeShard(b); err != nil {
			t.Fatal(err)
		}
		shards = append(shards, shard)
		index.Shards = append(index.Shards, shard.Ref())
	}
	assembled, err := snapshot.Assemble(index, shards)
	if err != nil {
		t.Fatal(err)
	}
	return assembled, compile.SortFindings(findings)
}

// checkPart holds what a part says beside the snapshot against what is in it.
func checkPart(t *rapid.T, part compile.Part) {
	covers := map[string][]string{}
	for _, d := range part.Domains {
		for _, p := range d.Policies {
			covers[p] = append(covers[p], d.Name)
		}
		for _, k := range d.Signing.Keys {
			if !slices.Contains(part.KeyUsers[k.Source], d.Source) {
				t.Fatalf("%s signs with %s: users are %v", d.Source, k.Source, part.KeyUsers[k.Source])
			}
		}
		if _, ok := part.Candidates[d.Source]; ok {
			t.Fatalf("%s is compiled and a candidate", d.Source)
		}
	}
	if len(covers) != len(part.Covers) || len(covers) > 0 && !cmp.Equal(covers, part.Covers) {
		t.Fatalf("covers %v, want %v", part.Covers, covers)
	}
	for id, users := range part.KeyUsers {
		if !slices.IsSorted(users) {
			t.Fatalf("users of %s: %v", id, users)
		}
	}
	for id, by := range part.ShadowedBy {
		if len(by) == 0 || slices.Contains(by, id) || len(part.Covers[id]) == 0 {
			t.Fatalf("%s is shadowed by %v, and covers %v", id, by, part.Covers[id])
		}
	}
}

// randomTenants draws objects of four namespaces, right and wrong, that get in each other's way.
func randomTenants(t *rapid.T, base compile.Input, keys [][]byte) compile.Input {
	in := base
	namespaces := []string{"default", "tenant-a", "tenant-b", "friend-a"}
	names := []v1alpha1.DomainName{"example.org", "team.example.org", "a.team.example.org", "b.example", "c.example", "d.example", "e.example"}
	gateway := *base.Gateway
	gateway.Spec.AllowedDomains = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) v1alpha1.AllowedDomains {
		a := v1alpha1.AllowedDomains{From: rapid.SampledFrom([]v1alpha1.DomainsFrom{"", v1alpha1.FromSame, v1alpha1.FromAll, v1alpha1.FromSelector}).Draw(t, "from")}
		if a.From == v1alpha1.FromSelector {
			a.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "1"}}
		}
		a.Domains = rapid.SampledFrom([][]v1alpha1.DomainPattern{nil, {"*.example.org"}, {"example.org", "*.example"}}).Draw(t, "domains")
		a.BackendHosts = rapid.SampledFrom([][]v1alpha1.HostPattern{nil, {"*"}, {"*.example.org"}, {"10.0.0.0/8"}}).Draw(t, "hosts")
		a.Proof = rapid.SampledFrom([]v1alpha1.ProofRequirement{"", v1alpha1.ProofRequired, v1alpha1.ProofNotRequired}).Draw(t, "proof")
		return a
	}), 0, 3).Draw(t, "allowed")
	in.Gateway = &gateway
	in.Namespaces = []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "tenant-a", Labels: map[string]string{"tier": "1"}}}}
	in.Serving = map[string]string{}
	object := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: rapid.SampledFrom(namespaces).Draw(t, "namespace"), CreationTimestamp: metav1.Unix(rapid.Int64Range(1, 4).Draw(t, "age"), 0)}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "keys") {
		k := v1alpha1.DKIMKey{ObjectMeta: object(fmt.Sprintf("k%d", i%3))}
		if slices.ContainsFunc(in.Keys, func(o v1alpha1.DKIMKey) bool { return o.Namespace == k.Namespace && o.Name == k.Name }) {
			continue
		}
		k.Spec.Domain = rapid.SampledFrom(names).Draw(t, "of")
		k.Spec.Revoked = rapid.SampledFrom([][]v1alpha1.Selector{nil, {"cal"}, {"cal1", "cal"}}).Draw(t, "revoked")
		secret := corev1.Secret{ObjectMeta: k.ObjectMeta, Data: map[string][]byte{"private.key": rapid.SampledFrom(keys).Draw(t, "key")}}
		if rapid.Bool().Draw(t, "generated") {
			k.Spec.Source = v1alpha1.KeySource{Type: v1alpha1.KeyGenerated, Generated: &v1alpha1.GeneratedKey{}}
			for j := range rapid.IntRange(0, 3).Draw(t, "made") {
				state := rapid.SampledFrom([]v1alpha1.KeyState{v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetiring, v1alpha1.KeyRetired, v1alpha1.KeyRevoked}).Draw(t, "state")
				in.Secrets = append(in.Secrets, generatedSecret(k.ObjectMeta, j+1, state, secret.Data["private.key"]))
			}
		} else {
			k.Spec.Source = importedKey(k.ObjectMeta, k.Spec.Domain, "cal", k.Name).Spec.Source
			in.Secrets = append(in.Secrets, secret)
		}
		in.Keys = append(in.Keys, k)
	}
	for i := range rapid.IntRange(1, 12).Draw(t, "claims") {
		d := v1alpha1.FederatedDomain{ObjectMeta: object(fmt.Sprintf("d%d", i))}
		d.Spec.Domain = rapid.SampledFrom(names).Draw(t, "domain")
		d.Spec.GatewayRef = v1alpha1.GatewayRef{Name: rapid.SampledFrom([]string{"edge", "edge", "edge", "other"}).Draw(t, "gateway"), Namespace: "default"}
		d.Spec.Backend = iScheduleAt("https://" + rapid.SampledFrom([]string{"calendar.example.org", "calendar.example.org", "10.1.2.3", "db.internal"}).Draw(t, "host") + "/ischedule")
		d.Spec.Signing = &v1alpha1.Signing{Mail: rapid.SampledFrom([]v1alpha1.Switch{"", v1alpha1.Enabled}).Draw(t, "mail")}
		for _, j := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 2, rapid.ID).Draw(t, "signing") {
			d.Spec.Signing.Keys = append(d.Spec.Signing.Keys, v1alpha1.KeyRef{Name: fmt.Sprintf("k%d", j)})
		}
		c := proven
		c.Reason = rapid.SampledFrom([]string{v1alpha1.ReasonProven, v1alpha1.ReasonProven, v1alpha1.ReasonNotRequired}).Draw(t, "proof")
		if rapid.Bool().Draw(t, "seen") {
			d.Status.Conditions = []metav1.Condition{c}
			d.Status.Ownership = challenge(&d, rapid.SampledFrom([]string{"default/edge", "default/edge", "default/other"}).Draw(t, "shown"))
		}
		if rapid.Bool().Draw(t, "serving") {
			in.Serving[string(d.Spec.Domain)] = d.Namespace + "/" + d.Name
		}
		in.Domains = append(in.Domains, d)
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "policies") {
		p := v1alpha1.PeerPolicy{ObjectMeta: object(fmt.Sprintf("p%d", i))}
		p.Spec.Action = rapid.SampledFrom([]v1alpha1.Action{v1alpha1.ActionAllow, v1alpha1.ActionDeny}).Draw(t, "action")
		p.Spec.Peers = rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.DomainPattern{"*", "peer.example", "*.peer.example"}), 1, 2, rapid.ID).Draw(t, "peers")
		p.Spec.Domains = rapid.SampledFrom([][]v1alpha1.DomainPattern{nil, {"*"}, {"*.example.org", "c.example"}, {"*.org", "team.example.org"}}).Draw(t, "covers")
		if p.Spec.Action == v1alpha1.ActionAllow && rapid.Bool().Draw(t, "endpoint") {
			p.Spec.Outbound = &v1alpha1.Outbound{Endpoint: "https://calendar.peer.example/"}
		}
		in.Policies = append(in.Policies, p)
	}
	return in
}

// generatedSecret is a key as the operator keeps it.
func generatedSecret(owner metav1.ObjectMeta, number int, state v1alpha1.KeyState, private []byte) corev1.Secret {
	made := time.Unix(1_700_000_000+int64(number)*3600, 0).UTC().Format(time.RFC3339)
	s := corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: owner.Namespace, Name: fmt.Sprintf("%s-%d", owner.Name, number),
		Labels: map[string]string{keylife.LabelOwned: keylife.OwnedKey},
		Annotations: map[string]string{
			keylife.AnnotationKeyName: owner.Name, keylife.AnnotationSelector: fmt.Sprintf("cal%d", number),
			keylife.AnnotationState: string(state), keylife.AnnotationMade: made, keylife.AnnotationSince: made,
			keylife.AnnotationAlgorithm: string(v1alpha1.AlgorithmEd25519),
		},
	}}
	if state != v1alpha1.KeyRetired && state != v1alpha1.KeyRevoked {
		s.Data = map[string][]byte{keylife.DataKey: private}
	}
	return s
}

// Who signs with a key is told in one order, and only of those that are served.
func TestUsersOfAKey(t *testing.T) {
	t.Parallel()
	in := minimalGateway(t)
	var want []string
	for i := range 12 {
		d := wants{id: fmt.Sprintf("default/d%02d", i)}.domain()
		d.Spec.Domain = v1alpha1.DomainName(fmt.Sprintf("d%02d.example.org", i))
		d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "k"}}}
		if i == 5 {
			d.Spec.Backend = iScheduleAt("ftp://calendar.example.org/")
		} else {
			want = append(want, d.Namespace+"/"+d.Name)
		}
		in.Domains = append(in.Domains, d)
	}
	in.Keys = []v1alpha1.DKIMKey{importedKey(metav1.ObjectMeta{Namespace: "default", Name: "k"}, "example.org", "cal", "missing")}
	got := compile.CompileDomains(compile.CompileGateway(in), in).KeyUsers
	if diff := cmp.Diff(map[string][]string{"default/k": want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
