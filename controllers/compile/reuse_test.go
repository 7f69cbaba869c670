package compile_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/dkim"
)

// Nothing is signed with a key that receivers do not have under its selector.
func TestAnImportedKeyThatChangesUnderItsSelectorIsLeftOut(t *testing.T) {
	published, other := ed25519Key(t, 1), ed25519Key(t, 2)
	signer, err := dkim.ParsePrivateKey(published)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.FormatRecord(signer.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule     string
		selector string // that status remembers
		private  []byte
		keys     int
	}{
		{"the key that was published", "cal1", published, 1},
		{"another key", "cal1", other, 0},
		{"another key under another selector", "cal0", other, 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			in := minimalGateway(t)
			in.Keys = []v1alpha1.DKIMKey{{
				ObjectMeta: metav1.ObjectMeta{Namespace: "calfed", Name: "reuse"},
				Spec: v1alpha1.DKIMKeySpec{Domain: "reuse.example", Source: v1alpha1.KeySource{Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{
					Selector: "cal1", SecretRef: v1alpha1.SecretKeyRef{Name: "reuse", Key: "key"},
				}}},
				Status: v1alpha1.DKIMKeyStatus{Keys: []v1alpha1.KeyStatus{{Selector: tt.selector, Record: record}}},
			}}
			in.Keys[0].Namespace = in.Gateway.Namespace
			in.Secrets = append(in.Secrets, corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: in.Gateway.Namespace, Name: "reuse"}, Data: map[string][]byte{"key": tt.private}})
			in.Domains = []v1alpha1.FederatedDomain{{
				ObjectMeta: metav1.ObjectMeta{Namespace: in.Gateway.Namespace, Name: "reuse"},
				Spec: v1alpha1.FederatedDomainSpec{
					Domain: "reuse.example", GatewayRef: v1alpha1.GatewayRef{Name: in.Gateway.Name}, Signing: &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "reuse"}}},
					Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://calendar.example.org/ischedule"}},
				},
			}}
			out := compile.Compile(in)
			if got := len(out.Draft.Domains[0].Signing.Keys); got != tt.keys {
				t.Errorf("%d keys, want %d: %v", got, tt.keys, out.Findings)
			}
			said := false
			for _, f := range out.Findings {
				said = said || f.Reason == v1alpha1.ReasonSelectorReused && strings.Contains(f.Message, "put the old key back")
			}
			if said != (tt.keys == 0) {
				t.Errorf("%v", out.Findings)
			}
		})
	}
}
