package compile_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	benchNamespaces = 5_000
	benchDomains    = 50_000
	benchPolicies   = 10_000
)

// BenchmarkCompileAll compiles 50 000 domains of 5 000 namespaces, each with an Ed25519 key of its own, and 10 000 policies.
func BenchmarkCompileAll(b *testing.B) {
	in := manyDomains(b, benchNamespaces, benchDomains, benchPolicies)
	b.ReportAllocs()
	for b.Loop() {
		out := compile.Compile(in)
		if out.Snapshot == nil || len(out.Snapshot.Domains) != benchDomains || len(out.Findings) > 0 {
			b.Fatalf("not compiled: %v", out.Findings)
		}
	}
}

// BenchmarkCompileOneShard compiles one of the 256 parts of the same, as the operator does when a domain changes.
func BenchmarkCompileOneShard(b *testing.B) {
	in := manyDomains(b, benchNamespaces, benchDomains, benchPolicies)
	sh := compile.CompileGateway(in)
	part := partsOf(in)[7]
	b.ReportAllocs()
	for b.Loop() {
		out := compile.CompileDomains(sh, part)
		if len(out.Domains) != len(part.Domains) || len(out.Domains) < benchDomains/snapshot.Shards/2 {
			b.Fatalf("%d of %d domains", len(out.Domains), len(part.Domains))
		}
	}
}

// manyDomains are tenants of one gateway: each namespace has its domains below a name of its own, and policies for all peers and
// for some.
func manyDomains(tb testing.TB, namespaces, domains, policies int) compile.Input {
	tb.Helper()
	in := minimalGateway(tb)
	in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{
		{From: v1alpha1.FromAll, Domains: []v1alpha1.DomainPattern{"*.example"}, BackendHosts: []v1alpha1.HostPattern{"*.example"}, Proof: v1alpha1.ProofRequired},
	}
	for i := range domains {
		namespace := fmt.Sprintf("tenant-%d", i%namespaces)
		name := fmt.Sprintf("domain-%d", i)
		domain := v1alpha1.DomainName(fmt.Sprintf("d%d.t%d.example", i, i%namespaces))
		at := metav1.ObjectMeta{Name: name, Namespace: namespace, CreationTimestamp: metav1.Unix(int64(1_700_000_000+i), 0)}
		d := v1alpha1.FederatedDomain{ObjectMeta: at}
		d.Spec.Domain = domain
		d.Spec.GatewayRef = v1alpha1.GatewayRef{Name: in.Gateway.Name, Namespace: in.Gateway.Namespace}
		d.Spec.Backend = iScheduleAt("https://calendar." + string(domain) + "/ischedule")
		d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: name}}}
		d.Status.Conditions = []metav1.Condition{proven}
		d.Status.Ownership = challenge(&d, "default/edge")
		in.Domains = append(in.Domains, d)
		in.Keys = append(in.Keys, importedKey(at, domain, "cal", name))
		in.Secrets = append(in.Secrets, corev1.Secret{ObjectMeta: at, Data: map[string][]byte{"private.key": ed25519Key(tb, i)}})
	}
	for i := range policies {
		p := v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i), Namespace: fmt.Sprintf("tenant-%d", i%namespaces)}}
		p.Spec.Action = v1alpha1.ActionAllow
		p.Spec.Peers = []v1alpha1.DomainPattern{v1alpha1.DomainPattern(fmt.Sprintf("*.p%d.example", i))}
		if i%3 == 0 {
			p.Spec.Domains = []v1alpha1.DomainPattern{v1alpha1.DomainPattern(fmt.Sprintf("*.t%d.example", i%namespaces))}
		}
		in.Policies = append(in.Policies, p)
	}
	return in
}

var proven = metav1.Condition{Type: v1alpha1.ConditionOwnershipProven, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProven}

func minimalGateway(tb testing.TB) compile.Input {
	tb.Helper()
	in, _ := readInput(tb, "gateway-minimal")
	in.Domains, in.Keys, in.Policies = nil, nil, nil
	return in
}

func iScheduleAt(url string) v1alpha1.Backend {
	return v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: v1alpha1.BackendURL(url)}}
}

func importedKey(at metav1.ObjectMeta, domain v1alpha1.DomainName, selector v1alpha1.Selector, secret string) v1alpha1.DKIMKey {
	k := v1alpha1.DKIMKey{ObjectMeta: at}
	k.Spec.Domain = domain
	k.Spec.Source = v1alpha1.KeySource{Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{
		Selector: selector, SecretRef: v1alpha1.SecretKeyRef{Name: secret, Key: "private.key"},
	}}
	return k
}

// ed25519Key is a key of its own for each number.
func ed25519Key(tb testing.TB, number int) []byte {
	tb.Helper()
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, uint64(number)+1)
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// partsOf cuts an input as the operator does: all claims to the names of a shard, and what lies in their namespaces.
func partsOf(in compile.Input) []compile.Input {
	parts := make([]compile.Input, snapshot.Shards)
	inPart := map[string][]int{} // by namespace
	seen := map[string]bool{}
	for _, d := range in.Domains {
		i := snapshot.ShardOf(string(d.Spec.Domain))
		parts[i].Domains = append(parts[i].Domains, d)
		if id := fmt.Sprint(d.Namespace, " ", i); !seen[id] {
			seen[id] = true
			inPart[d.Namespace] = append(inPart[d.Namespace], i)
		}
	}
	for _, k := range in.Keys {
		for _, i := range inPart[k.Namespace] {
			parts[i].Keys = append(parts[i].Keys, k)
		}
	}
	for _, p := range in.Policies {
		for _, i := range inPart[p.Namespace] {
			parts[i].Policies = append(parts[i].Policies, p)
		}
	}
	for _, s := range in.Secrets {
		for _, i := range inPart[s.Namespace] {
			parts[i].Secrets = append(parts[i].Secrets, s)
		}
	}
	for _, m := range in.ConfigMaps {
		for _, i := range inPart[m.Namespace] {
			parts[i].ConfigMaps = append(parts[i].ConfigMaps, m)
		}
	}
	for i := range parts {
		parts[i].Namespaces, parts[i].Serving = in.Namespaces, in.Serving
	}
	return parts
}
