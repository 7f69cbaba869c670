package keylife

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

// ErrSecret means that a Secret is not as this package writes it.
var ErrSecret = errors.New("not a key as it was written")

var states = []v1alpha1.KeyState{
	v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetiring, v1alpha1.KeyRetired, v1alpha1.KeyRevoked,
}

// Read reads a Secret; the error, an ErrSecret, says what about it is not as this package writes it, and holds no secret.
func Read(s *corev1.Secret) (Key, error) {
	a := s.Annotations
	k := Key{
		Name:      a[AnnotationKeyName],
		Secret:    s.Name,
		Selector:  a[AnnotationSelector],
		State:     v1alpha1.KeyState(a[AnnotationState]),
		Algorithm: v1alpha1.KeyAlgorithm(a[AnnotationAlgorithm]),
		Request:   a[AnnotationRequest],
	}
	k.Written = k.State
	if uid := a[AnnotationUID]; uid != "" && uid != string(s.UID) && k.State == v1alpha1.KeyPublished {
		k.State = v1alpha1.KeyPending
	}
	switch {
	case s.Labels[LabelOwned] != OwnedKey:
		return Key{}, fmt.Errorf("%w: label %s is not %s", ErrSecret, LabelOwned, OwnedKey)
	case k.Name == "":
		return Key{}, fmt.Errorf("%w: annotation %s is missing", ErrSecret, AnnotationKeyName)
	case k.Selector == "":
		return Key{}, fmt.Errorf("%w: annotation %s is missing", ErrSecret, AnnotationSelector)
	case !slices.Contains(states, k.State):
		return Key{}, fmt.Errorf("%w: annotation %s is no state", ErrSecret, AnnotationState)
	}
	for _, t := range []struct {
		annotation string
		to         *time.Time
		optional   bool
	}{{AnnotationMade, &k.Made, false}, {AnnotationSince, &k.Since, false}, {AnnotationQuietSince, &k.QuietSince, true}} {
		if a[t.annotation] == "" && t.optional {
			continue
		}
		var ok bool
		if *t.to, ok = timeOf(a[t.annotation]); !ok {
			return Key{}, fmt.Errorf("%w: annotation %s is no time", ErrSecret, t.annotation)
		}
	}
	for _, d := range []struct {
		annotation string
		to         *time.Duration
	}{{AnnotationNegativeTTL, &k.NegativeTTL}, {AnnotationTTL, &k.TTL}, {AnnotationLifetime, &k.Lifetime}} {
		if a[d.annotation] == "" {
			continue
		}
		var err error
		if *d.to, err = time.ParseDuration(a[d.annotation]); err != nil || *d.to < 0 {
			return Key{}, fmt.Errorf("%w: annotation %s is no duration", ErrSecret, d.annotation)
		}
	}
	if gone(k.State) {
		return k, nil
	}
	k.Private = s.Data[DataKey]
	switch {
	case len(k.Private) == 0:
		return Key{}, fmt.Errorf("%w: the private key is missing", ErrSecret)
	case a[AnnotationDigest] != "" && a[AnnotationDigest] != digest(k.Private):
		return Key{}, fmt.Errorf("%w: the private key is another than was made for selector %s", ErrSecret, k.Selector)
	}
	return k, nil
}

func digest(private []byte) string {
	sum := sha256.Sum256(private)
	return hex.EncodeToString(sum[:])
}

// maxName is the longest name of an object.
const maxName = 253

// SecretName is the name of the Secret of a selector. It has no room for two: whoever makes a second key for a selector of a
// domain in the namespace is refused by the API server.
func SecretName(domain, selector string) string {
	name := selector + "." + domain
	if len(name) > maxName {
		name = selector + "." + digest([]byte(domain))[:32]
	}
	return name
}

// NewSecret is the Secret of a key that was just made.
func NewSecret(key *v1alpha1.DKIMKey, k Key, private []byte) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:      k.Secret,
			Namespace: key.Namespace,
			Labels: map[string]string{
				LabelOwned:                     OwnedKey,
				"app.kubernetes.io/name":       "calfed",
				"app.kubernetes.io/managed-by": "calfed",
			},
			Annotations: map[string]string{
				AnnotationKeyName:   key.Name,
				AnnotationSelector:  k.Selector,
				AnnotationMade:      stampOf(k.Made),
				AnnotationAlgorithm: string(k.Algorithm),
				AnnotationDigest:    digest(private),
			},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{DataKey: private},
	}
	Adopt(key, s)
	Write(k, s)
	return s
}

// Adopt makes the DKIMKey the owner of a Secret, so that they go together, and says whether that changed anything.
func Adopt(key *v1alpha1.DKIMKey, s *corev1.Secret) bool {
	if metav1.GetControllerOf(s) != nil {
		return false
	}
	s.OwnerReferences = append(s.OwnerReferences, v1alpha1.OwnedBy(v1alpha1.KindDKIMKey, key))
	return true
}

// Write writes into a Secret what changes in a key's life. The private key leaves it with the last use.
func Write(k Key, s *corev1.Secret) {
	for annotation, value := range map[string]string{
		AnnotationState:       string(k.State),
		AnnotationSince:       stampOf(k.Since),
		AnnotationQuietSince:  stampOf(k.QuietSince),
		AnnotationNegativeTTL: durationOf(k.NegativeTTL),
		AnnotationTTL:         durationOf(k.TTL),
		AnnotationLifetime:    durationOf(k.Lifetime),
		AnnotationRequest:     k.Request,
		AnnotationUID:         string(s.UID),
	} {
		if value == "" {
			delete(s.Annotations, annotation)
			continue
		}
		s.Annotations[annotation] = value
	}
	if gone(k.State) {
		delete(s.Data, DataKey)
		delete(s.Annotations, AnnotationDigest)
	}
}

// timeOf reads what stampOf writes, and what else RFC 3339 has as long as stampOf can write it.
func timeOf(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false
	}
	t, err = time.Parse(time.RFC3339, stampOf(t.Truncate(time.Second)))
	return t, err == nil
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func durationOf(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
