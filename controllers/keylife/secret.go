package keylife

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

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
		var err error
		if *t.to, err = time.Parse(time.RFC3339, a[t.annotation]); err != nil {
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
