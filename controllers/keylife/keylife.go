// Package keylife is the life of a generated DKIM key as a state machine without I/O: Pending → Published → Active →
// Retiring → Retired, or Revoked from anywhere. State lives in annotations of the key's Secret, so that it survives the loss
// of every status.
//
// It makes no look-ups and writes nothing: the reconciler of DKIMKeys tells it what was seen and does what it says.
package keylife

import (
	"time"

	corev1 "k8s.io/api/core/v1"

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

	DataKey = "private.key"
)

// Key is one generated key.
type Key struct {
	Name     string // of the DKIMKey
	Secret   string // name of the Secret
	Selector string
	State    v1alpha1.KeyState
	Made     time.Time
	Since    time.Time
	Private  []byte // PEM; nil once Retired or Revoked
}

// Read reads a Secret; the error says what about it is not as this package writes it, and holds no secret.
func Read(s *corev1.Secret) (Key, error) { panic("not written yet") }

// Of returns the keys of a DKIMKey among the Secrets of its namespace, newest first. What cannot be read is left out.
func Of(key *v1alpha1.DKIMKey, secrets []corev1.Secret) []Key { panic("not written yet") }

// Signs says whether messages are signed with a key in that state.
func Signs(s v1alpha1.KeyState) bool { return s == v1alpha1.KeyActive }

// Outside says whether the record of a key in that state should be seen from outside: as the public key or, for Revoked, as
// revoked.
func Outside(s v1alpha1.KeyState) bool { return s != v1alpha1.KeyRetired }
