package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GeneratedKey is a key that the operator makes, publishes and rotates.
//
// +kubebuilder:validation:XValidation:rule="!has(self.selectors) || self.selectors != 'Alternating' || !has(self.rotation) || !has(self.rotation.retireAfter) || !has(self.rotation.interval) || duration(self.rotation.retireAfter) < duration(self.rotation.interval)",message="Alternating selectors come back after two rotations: retireAfter must be shorter than interval"
type GeneratedKey struct {
	// Algorithm of the key. Absent means RSA-2048, which every receiver knows.
	// +optional
	Algorithm KeyAlgorithm `json:"algorithm,omitempty"`

	// SelectorPrefix begins the selectors. Absent means cal.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')",message="must begin with a letter: letters, digits and hyphens in lower case, such as cal"
	SelectorPrefix string `json:"selectorPrefix,omitempty"`

	// Selectors says how the keys are named: Unique, {prefix}-{date}-{time} in UTC, never used again, or Alternating, {prefix}1
	// and {prefix}2 in turn, for domains whose owners set CNAME records once (publish.delegated). Absent means Unique.
	// +optional
	Selectors SelectorScheme `json:"selectors,omitempty"`

	// Rotation says when keys follow each other. Absent means never of itself; the annotation calfed.dev/rotate-requested-at
	// asks for it.
	// +optional
	Rotation *KeyRotation `json:"rotation,omitempty"`
}

// KeyAlgorithm is a kind of key.
//
// +kubebuilder:validation:Enum=RSA-2048;RSA-3072;RSA-4096;Ed25519
type KeyAlgorithm string

// The algorithms.
const (
	AlgorithmRSA2048 KeyAlgorithm = "RSA-2048"
	AlgorithmRSA3072 KeyAlgorithm = "RSA-3072"
	AlgorithmRSA4096 KeyAlgorithm = "RSA-4096"
	AlgorithmEd25519 KeyAlgorithm = "Ed25519"
)

// SelectorScheme is a way to name keys.
//
// +kubebuilder:validation:Enum=Unique;Alternating
type SelectorScheme string

// The ways to name keys.
const (
	SelectorsUnique      SelectorScheme = "Unique"
	SelectorsAlternating SelectorScheme = "Alternating"
)

// KeyRotation says when keys follow each other. Times are numbers of hours, minutes or seconds: 2160h.
type KeyRotation struct {
	// Interval is how long a key signs before the next takes over. Absent means never of itself.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('1h') && duration(self) <= duration('87600h')",message="must be a time from 1h to 87600h (ten years), such as 2160h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// PublishBefore is how long a key's record is out before the key signs, at least; the negative TTL of the zone, if longer,
	// counts. Absent means 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="must be a time up to 720h, such as 1h"
	PublishBefore *metav1.Duration `json:"publishBefore,omitempty"`

	// RetireAfter is how long a key's record stays after the last signature may have expired. Absent means 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="must be a time up to 8760h, such as 24h"
	RetireAfter *metav1.Duration `json:"retireAfter,omitempty"`

	// Activation is Automatic, or Manual: a published key signs only when the annotation calfed.dev/activate-selector names its
	// selector. Absent means Automatic.
	// +optional
	Activation KeyActivation `json:"activation,omitempty"`
}

// KeyActivation says who lets a key sign.
//
// +kubebuilder:validation:Enum=Automatic;Manual
type KeyActivation string

// The ways of activation.
const (
	ActivationAutomatic KeyActivation = "Automatic"
	ActivationManual    KeyActivation = "Manual"
)

// DKIMKeyStatus is what was seen of a key.
type DKIMKeyStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the key.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// ActiveSelector is the selector of the key that signs.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ActiveSelector string `json:"activeSelector,omitempty"`

	// KeyCount is the number of keys there are, retired ones included.
	// +optional
	KeyCount int32 `json:"keyCount,omitempty"`

	// Keys are the newest 16 of them, newest first.
	// +optional
	// +listType=map
	// +listMapKey=selector
	// +kubebuilder:validation:MaxItems=16
	Keys []KeyStatus `json:"keys,omitempty"`

	// NextRotation is when the next key is made.
	// +optional
	NextRotation *metav1.Time `json:"nextRotation,omitempty"`

	// RotateRequestedAt echoes the annotation calfed.dev/rotate-requested-at that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	RotateRequestedAt string `json:"rotateRequestedAt,omitempty"`

	// ResetBackoffRequestedAt echoes the annotation calfed.dev/reset-backoff-requested-at that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ResetBackoffRequestedAt string `json:"resetBackoffRequestedAt,omitempty"`
}

// KeyStatus is one key.
type KeyStatus struct {
	// Selector of the key (s=).
	// +required
	// +kubebuilder:validation:MaxLength=63
	Selector string `json:"selector"`

	// State of its life.
	// +optional
	State KeyState `json:"state,omitempty"`

	// SecretName names the Secret with the key.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// Record is what is published: the data of the TXT record.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Record string `json:"record,omitempty"`

	// Since is when the state began.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// KeyState is a state in the life of a key.
//
// +kubebuilder:validation:Enum=Pending;Published;Active;Retiring;Retired;Revoked
type KeyState string

// The states.
const (
	KeyPending   KeyState = "Pending"   // made; its record is to be published
	KeyPublished KeyState = "Published" // seen on every authoritative server; waits until caches cannot deny it any more
	KeyActive    KeyState = "Active"    // signs
	KeyRetiring  KeyState = "Retiring"  // signs no more; its record stays until its last signature has expired
	KeyRetired   KeyState = "Retired"   // its record is withdrawn
	KeyRevoked   KeyState = "Revoked"   // its record says that it must not be believed
)
