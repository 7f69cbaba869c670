// Package keylife is the life of a generated DKIM key as a state machine without I/O: Pending → Published → Active →
// Retiring → Retired, or Revoked from anywhere. State lives in annotations of the key's Secret, so that it survives the loss
// of every status.
//
// It makes no look-ups and writes nothing: the reconciler of DKIMKeys tells it what was seen and does what it says.
package keylife

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

// What a key's Secret carries. Its type is Opaque, its private key (PEM, PKCS#8) lies under DataKey.
const (
	LabelOwned = "calfed.dev/owned" // label of every Secret of ours that is cached whole, with the value OwnedKey …
	OwnedKey   = "dkim-key"

	AnnotationKeyName  = "calfed.dev/dkimkey"   // name of the DKIMKey
	AnnotationState    = "calfed.dev/key-state" // a v1alpha1.KeyState
	AnnotationSince    = "calfed.dev/key-since" // RFC 3339, when the state began
	AnnotationMade     = "calfed.dev/key-made"  // RFC 3339, when the key was made
	AnnotationSelector = "calfed.dev/key-selector"

	AnnotationAlgorithm   = "calfed.dev/key-algorithm"          // a v1alpha1.KeyAlgorithm
	AnnotationDigest      = "calfed.dev/key-digest"             // SHA-256 of the private key's PEM: a selector stands for one key
	AnnotationNegativeTTL = "calfed.dev/key-negative-ttl"       // how long caches may deny the record, when it was first seen
	AnnotationTTL         = "calfed.dev/key-ttl"                // how long caches keep the record: the longest that was seen
	AnnotationLifetime    = "calfed.dev/key-signature-lifetime" // the longest of signatures that the key made
	AnnotationQuietSince  = "calfed.dev/key-quiet-since"        // RFC 3339, since when no pod signs with a Retiring key
	AnnotationUID         = "calfed.dev/key-secret-uid"         // of the Secret when its state was written: another one was restored
	AnnotationRequest     = "calfed.dev/key-requested-by"       // value of calfed.dev/rotate-requested-at that asked for the key

	DataKey = "private.key"
)

// Key is one generated key.
type Key struct {
	Name     string // of the DKIMKey
	Secret   string // name of the Secret; "" for a selector that spec.revoked names and no Secret has
	Selector string
	State    v1alpha1.KeyState
	Made     time.Time
	Since    time.Time
	Private  []byte // PEM; nil once Retired or Revoked

	// Written is the state that the Secret says. State differs where spec.revoked, or a newer Active key, has decided already:
	// whoever reads both Secrets between two writes sees one key that signs. A Published key that was restored from a backup is
	// Pending: nobody knows how long its record was gone.
	Written   v1alpha1.KeyState
	Algorithm v1alpha1.KeyAlgorithm

	NegativeTTL time.Duration // how long caches may have denied the record, when it was first seen; 0 = not seen yet
	TTL         time.Duration // the longest with which the record was seen; 0 = not seen yet
	Lifetime    time.Duration // of the longest-lived signatures made; 0 = the default
	QuietSince  time.Time     // since when no pod signs with it; zero = one may
	Request     string        // the rotation that was asked for, and for which it was made
}

// Of returns the keys of a DKIMKey among the Secrets of its namespace, newest first, at most one of them Active: the newest
// that says so; the others are Retiring. Selectors that spec.revoked names are Revoked, whatever their Secrets say and also
// without one. What cannot be read is left out, and so is a Secret that belongs to a former DKIMKey of the same name.
func Of(key *v1alpha1.DKIMKey, secrets []corev1.Secret) []Key {
	var keys []Key
	for i := range secrets {
		if !Belongs(key, &secrets[i]) {
			continue
		}
		if k, err := Read(&secrets[i]); err == nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(b.Selector, a.Selector), cmp.Compare(a.Secret, b.Secret))
	})
	// a copy that somebody made of a Secret adds nothing
	known := map[string]bool{}
	keys = slices.DeleteFunc(keys, func(k Key) bool {
		twice := known[k.Selector]
		known[k.Selector] = true
		return twice
	})
	for _, s := range key.Spec.Revoked {
		if !known[string(s)] {
			known[string(s)] = true
			keys = append(keys, Key{Name: key.Name, Selector: string(s), State: v1alpha1.KeyRevoked, Written: v1alpha1.KeyRevoked})
		}
	}
	active := false
	for i := range keys {
		k := &keys[i]
		switch {
		case slices.Contains(key.Spec.Revoked, v1alpha1.Selector(k.Selector)):
			k.State, k.Private = v1alpha1.KeyRevoked, nil
		case k.State == v1alpha1.KeyActive && active:
			k.State = v1alpha1.KeyRetiring
		case k.State == v1alpha1.KeyActive:
			active = true
		}
	}
	return keys
}

// Belongs says whether a Secret is one that was made for the DKIMKey: by label, annotation and owner. One without an owner, as
// restores from backups leave them, belongs to the DKIMKey that it names.
func Belongs(key *v1alpha1.DKIMKey, s metav1.Object) bool {
	if s.GetNamespace() != key.Namespace || s.GetLabels()[LabelOwned] != OwnedKey || s.GetAnnotations()[AnnotationKeyName] != key.Name {
		return false
	}
	owner := metav1.GetControllerOf(s)
	return owner == nil || key.UID == "" || owner.UID == key.UID
}

// Signs says whether messages are signed with a key in that state.
func Signs(s v1alpha1.KeyState) bool { return s == v1alpha1.KeyActive }

// Outside says whether the record of a key in that state should be seen from outside: as the public key or, for Revoked, as
// revoked.
func Outside(s v1alpha1.KeyState) bool { return s != v1alpha1.KeyRetired }

// gone says whether a key in that state can never sign again: its private key is removed.
func gone(s v1alpha1.KeyState) bool { return s == v1alpha1.KeyRetired || s == v1alpha1.KeyRevoked }
