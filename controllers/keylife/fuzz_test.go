package keylife_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

// Whatever somebody writes into a Secret of ours: no panic, an ErrSecret without the private key in it or else a key that reads
// the same once it is written.
func FuzzRead(f *testing.F) {
	const private = "-----BEGIN PRIVATE KEY-----"
	stamp := noon.Format(time.RFC3339)
	add := func(state, since, quiet, ttl, digest string) {
		f.Add("cal", "cal-20260301-120000", state, stamp, since, quiet, ttl, digest, "", []byte(private))
	}
	for _, state := range []v1alpha1.KeyState{
		v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetiring, v1alpha1.KeyRetired, v1alpha1.KeyRevoked, "Great",
	} {
		add(string(state), stamp, "", "1h0m0s", "")
	}
	add("Active", "0001-01-01T00:00:00Z", stamp, "0s", "00")
	add("Active", "9999-12-31T23:59:59.9-23:59", "0000-01-01T00:00:00+23:59", "2562047h47m16.854775807s", "")
	add("Retiring", "2026-03-01T12:00:00.5+02:00", "2026-03-01t12:00:00z", "-1ns", "")
	f.Add("", "", "", "", "", "", "", "", "another", []byte(nil))
	f.Fuzz(func(t *testing.T, name, selector, state, made, since, quiet, ttl, digest, uid string, private []byte) {
		s := aSecret("a", v1alpha1.KeyActive, noon)
		s.Data[keylife.DataKey] = private
		for annotation, value := range map[string]string{
			keylife.AnnotationKeyName: name, keylife.AnnotationSelector: selector, keylife.AnnotationState: state, keylife.AnnotationMade: made,
			keylife.AnnotationSince: since, keylife.AnnotationQuietSince: quiet, keylife.AnnotationTTL: ttl, keylife.AnnotationDigest: digest, keylife.AnnotationUID: uid,
		} {
			s.Annotations[annotation] = value
		}
		s.UID = types.UID("secret")
		got, err := keylife.Read(&s)
		if err != nil {
			if !errors.Is(err, keylife.ErrSecret) || got.Selector != "" || len(private) > 20 && !strings.Contains(selector, string(private)) && strings.Contains(err.Error(), string(private)) {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		keylife.Write(got, &s)
		again, err := keylife.Read(&s)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		got.Written = got.State
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("it reads otherwise once it is written (-before +after):\n%s", diff)
		}
	})
}
