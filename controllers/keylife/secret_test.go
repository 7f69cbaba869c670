package keylife_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

// aSecret is one in the state, as it is written.
func aSecret(selector string, state v1alpha1.KeyState, made time.Time) corev1.Secret {
	s := newSituation()
	s.Key.UID = "owner"
	k := keylife.Key{
		Name: "cal", Secret: selector + ".example.org", Selector: selector, State: state, Written: state, Made: made, Since: made, Algorithm: v1alpha1.AlgorithmEd25519,
		NegativeTTL: time.Minute, TTL: time.Hour, Lifetime: 7 * time.Minute, QuietSince: made, Request: "in spring",
	}
	secret := keylife.NewSecret(s.Key, k, []byte("PEM "+selector))
	secret.UID = "secret"
	return *secret
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	s := aSecret("a", v1alpha1.KeyRetiring, noon)
	got, err := keylife.Read(&s)
	if err != nil {
		t.Fatal(err)
	}
	want := keylife.Key{
		Name: "cal", Secret: "a.example.org", Selector: "a", State: v1alpha1.KeyRetiring, Written: v1alpha1.KeyRetiring, Made: noon, Since: noon,
		Algorithm: v1alpha1.AlgorithmEd25519, Private: []byte("PEM a"),
		NegativeTTL: time.Minute, TTL: time.Hour, Lifetime: 7 * time.Minute, QuietSince: noon, Request: "in spring",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.State = v1alpha1.KeyRetired
	keylife.Write(want, &s)
	if got, err = keylife.Read(&s); err != nil || got.Private != nil || len(s.Data) > 0 {
		t.Errorf("the private key stays: %v, %v", s.Data, err)
	}
}

func TestSecretsThatSomebodyChanged(t *testing.T) {
	for _, tt := range []struct {
		annotation, value, want string
	}{
		{keylife.AnnotationKeyName, "", "calfed.dev/dkimkey is missing"},
		{keylife.AnnotationSelector, "", "calfed.dev/key-selector is missing"},
		{keylife.AnnotationState, "Great", "calfed.dev/key-state is no state"},
		{keylife.AnnotationMade, "", "calfed.dev/key-made is no time"},
		{keylife.AnnotationSince, "yesterday", "calfed.dev/key-since is no time"},
		{keylife.AnnotationSince, "0001-01-01T00:00:00Z", "calfed.dev/key-since is no time"},
		{keylife.AnnotationQuietSince, "never", "calfed.dev/key-quiet-since is no time"},
		{keylife.AnnotationQuietSince, "9999-12-31T23:59:59-01:00", "calfed.dev/key-quiet-since is no time"},
		{keylife.AnnotationTTL, "-1s", "calfed.dev/key-ttl is no duration"},
		{keylife.AnnotationDigest, "00", "another than was made for selector a"},
		{"data", "", "the private key is missing"},
		{"label", "", "label calfed.dev/owned"},
	} {
		s := aSecret("a", v1alpha1.KeyActive, noon)
		switch tt.annotation {
		case "data":
			s.Data = nil
		case "label":
			s.Labels = nil
		default:
			s.Annotations[tt.annotation] = tt.value
		}
		_, err := keylife.Read(&s)
		if !errors.Is(err, keylife.ErrSecret) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "PEM") {
			t.Errorf("%s: %v", tt.annotation, err)
		}
	}
}

// Of is what compiling sees: one key that signs at most, whatever was written so far.
func TestOf(t *testing.T) {
	secrets := []corev1.Secret{
		aSecret("b", v1alpha1.KeyActive, noon.Add(time.Hour)), aSecret("a", v1alpha1.KeyActive, noon), aSecret("c", v1alpha1.KeyPublished, noon.Add(2*time.Hour)),
		aSecret("r", v1alpha1.KeyActive, noon.Add(3*time.Hour)), aSecret("z", v1alpha1.KeyRetired, ago(time.Hour)),
	}
	twice := aSecret("b", v1alpha1.KeyActive, noon.Add(time.Hour))
	twice.Name = "copy"
	former := aSecret("f", v1alpha1.KeyActive, noon.Add(4*time.Hour))
	former.OwnerReferences[0].UID = "former"
	restored := aSecret("p", v1alpha1.KeyPublished, ago(time.Minute))
	keylife.Write(keylife.Key{State: v1alpha1.KeyPublished, Since: noon}, &restored)
	restored.UID, restored.OwnerReferences = "another", nil
	broken := aSecret("x", v1alpha1.KeyActive, noon.Add(5*time.Hour))
	broken.Data = nil
	other := aSecret("o", v1alpha1.KeyActive, noon)
	other.Namespace = "elsewhere"
	secrets = append(secrets, twice, former, restored, broken, other)

	s := newSituation()
	s.Key.ObjectMeta = metav1.ObjectMeta{Namespace: "ns", Name: "cal", UID: "owner"}
	s.Key.Spec.Revoked = []v1alpha1.Selector{"r", "lost"}
	var got []string
	for _, k := range keylife.Of(s.Key, secrets) {
		got = append(got, k.Selector+" "+string(k.State)+" "+k.Secret)
	}
	want := []string{
		"r Revoked r.example.org", "c Published c.example.org", "b Active b.example.org", "a Retiring a.example.org", "p Pending p.example.org", "z Retired z.example.org",
		"lost Revoked ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNamesOfSecretsFit(t *testing.T) {
	long := strings.Repeat("a.", 120) + "example.org"
	if name := keylife.SecretName(long, "cal1"); len(name) > 253 || !strings.HasPrefix(name, "cal1.") || name == keylife.SecretName(long+".net", "cal1") {
		t.Error(name)
	}
}
