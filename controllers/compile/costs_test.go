package compile_test

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// greedy is a gateway of two tenants, of which tenant-a has so many policies for its domain; with, when there is one, changes each.
func greedy(t *testing.T, policies int, with func(i int, p *v1alpha1.PeerPolicy)) compile.Input {
	t.Helper()
	in := minimalGateway(t)
	in.Now = now
	in.Gateway.Spec.AllowedDomains = []v1alpha1.AllowedDomains{{From: v1alpha1.FromAll, BackendHosts: []v1alpha1.HostPattern{"*"}, Proof: v1alpha1.ProofNotRequired}}
	for _, tenant := range []string{"tenant-a", "tenant-b"} {
		d := wants{id: tenant + "/x"}.domain()
		d.Spec.Domain = v1alpha1.DomainName(tenant + ".example.org")
		in.Domains = append(in.Domains, d)
	}
	for i := range policies {
		p := v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-a", Name: fmt.Sprintf("p%04d", i), CreationTimestamp: metav1.Unix(int64(1_700_000_000+i), 0)}}
		p.Spec = v1alpha1.PeerPolicySpec{Peers: []v1alpha1.DomainPattern{v1alpha1.DomainPattern(fmt.Sprintf("p%d.example", i))}, Action: v1alpha1.ActionAllow}
		if with != nil {
			with(i, &p)
		}
		in.Policies = append(in.Policies, p)
	}
	return in
}

// A domain that more policies cover than may is left out, and no other.
func TestPoliciesThatCoverADomainAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policies int
		domains  []v1alpha1.DomainPattern
		served   []string
	}{
		"as many as may":                      {500, nil, []string{"tenant-a.example.org", "tenant-b.example.org"}},
		"each counts once":                    {500, []v1alpha1.DomainPattern{"*", "*.example.org", "tenant-a.example.org"}, []string{"tenant-a.example.org", "tenant-b.example.org"}},
		"one too many for all":                {501, nil, []string{"tenant-b.example.org"}},
		"one too many by name":                {501, []v1alpha1.DomainPattern{"tenant-a.example.org"}, []string{"tenant-b.example.org"}},
		"one too many by suffix":              {501, []v1alpha1.DomainPattern{"*.example.org"}, []string{"tenant-b.example.org"}},
		"thousands that cover something else": {2000, []v1alpha1.DomainPattern{"other.example.org"}, []string{"tenant-a.example.org", "tenant-b.example.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := greedy(t, tc.policies, func(_ int, p *v1alpha1.PeerPolicy) { p.Spec.Domains = tc.domains })
			part := compile.CompileDomains(compile.CompileGateway(in), in)
			var served []string
			for _, d := range part.Domains {
				served = append(served, d.Name)
			}
			if !slices.Equal(served, tc.served) {
				t.Errorf("%v, want %v: %+v", served, tc.served, part.Findings)
			}
			if told := len(messagesOf(part.Findings, v1alpha1.ReasonTooLarge)) == 1; told != (len(tc.served) == 1) {
				t.Errorf("%+v", part.Findings)
			}
		})
	}
}

// One bundle that a thousand policies or submitters name is not a thousand copies in the operator's memory: what is beyond the bound refuses
// its peers, or is left out, and the rest is served. The oldest have room first.
func TestCertificatesThatANamespaceNamesAreBounded(t *testing.T) {
	t.Parallel()
	const bundles = 8 // that there is room for
	bundle := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-a", Name: "ca"}, Data: map[string]string{"ca.crt": largeBundle(t, 4<<20/bundles)}}
	ref := v1alpha1.BundleRef{Kind: v1alpha1.BundleConfigMap, Name: "ca", Key: "ca.crt"}
	in := greedy(t, 400, func(_ int, p *v1alpha1.PeerPolicy) { p.Spec.Outbound = &v1alpha1.Outbound{CABundleRef: &ref} })
	slices.Reverse(in.Policies)
	in.ConfigMaps = []corev1.ConfigMap{bundle}
	in.Domains[0].Spec.Submitters = []v1alpha1.Submitter{{Name: "x", ClientCertificate: &v1alpha1.ClientCertificate{CARef: ref, Names: []string{"x.example.org"}}}}
	start := time.Now()
	part := compile.CompileDomains(compile.CompileGateway(in), in)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it takes %s", took)
	}
	if len(part.Domains) != 2 || len(part.Policies) != 400 || len(part.Domains[0].Submitters) != 0 {
		t.Fatalf("%d domains, %d policies: %+v", len(part.Domains), len(part.Policies), part.Findings[:min(3, len(part.Findings))])
	}
	for i, p := range part.Policies {
		has := p.Action == snapshot.Allow && len(p.Outbound.CABundle) > 0
		none := p.Action == snapshot.Deny && len(p.Outbound.CABundle) == 0
		if i < bundles && !has || i >= bundles && !none {
			t.Errorf("%s: %s with %d octets", p.ID, p.Action, len(p.Outbound.CABundle))
		}
	}
	if told := messagesOf(part.Findings, v1alpha1.ReasonTooLarge); len(told) != 400-bundles+1 {
		t.Errorf("%d are told", len(told))
	}
}

// largeBundle is certificates of so many octets at most, nearly.
func largeBundle(t *testing.T, octets int) string {
	t.Helper()
	in := minimalGateway(t)
	block, _ := pem.Decode(in.Secrets[0].Data[corev1.TLSCertKey])
	one := string(pem.EncodeToMemory(block))
	var out []byte
	for len(out)+len(one) <= octets {
		out = append(out, one...)
	}
	return string(out)
}

// A key that would take minutes to parse, because it is hundreds of times as large as any, is not parsed.
func TestKeysThatAreTooLargeAreNotParsed(t *testing.T) {
	t.Parallel()
	in := greedy(t, 1, func(_ int, p *v1alpha1.PeerPolicy) {
		p.Spec.Outbound = &v1alpha1.Outbound{ClientCertificateRef: &v1alpha1.SecretRef{Name: "large"}}
	})
	at := metav1.ObjectMeta{Namespace: "tenant-a", Name: "large"}
	large := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: make([]byte, 500<<10)})
	in.Secrets = append(in.Secrets, corev1.Secret{ObjectMeta: at, Data: map[string][]byte{
		corev1.TLSCertKey: in.Secrets[0].Data[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: large, "private.key": large,
	}})
	in.Keys = []v1alpha1.DKIMKey{importedKey(at, in.Domains[0].Spec.Domain, "cal", "large")}
	in.Domains[0].Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "large"}}}
	part := compile.CompileDomains(compile.CompileGateway(in), in)
	if len(part.Domains) != 2 || part.Policies[0].Action != snapshot.Deny || len(part.Domains[0].Signing.Keys) != 0 {
		t.Errorf("%+v", part.Findings)
	}
	var told int
	for _, m := range messagesOf(part.Findings, v1alpha1.ReasonInvalidValue) {
		if strings.Contains(m, "octets") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d are told: %+v", told, part.Findings)
	}
}
