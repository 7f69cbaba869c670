// Package compile turns resources and Secrets into a snapshot: a pure function, the same in the operator, in
// standalone mode and in lint. It resolves references, fills in effective defaults, decides conflicts, and says of
// every object what it made of it.
package compile

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Input is everything that compiling looks at.
type Input struct {
	Gateway    *v1alpha1.FederationGateway
	Domains    []v1alpha1.FederatedDomain
	Keys       []v1alpha1.DKIMKey
	Policies   []v1alpha1.PeerPolicy
	Secrets    []corev1.Secret
	ConfigMaps []corev1.ConfigMap
	Prior      CapabilityState // of the last compile; zero the first time
	Now        time.Time       // for the first capability serial only
}

// CapabilityState is what must survive a restart so that the serial only grows (IS-CAP-2).
type CapabilityState struct {
	Serial uint64 `json:"serial"`
	Digest string `json:"digest"` // of the effective document without its serial
}

// Output is a snapshot and what there is to say about each object.
type Output struct {
	Snapshot     *snapshot.Snapshot // nil when the gateway itself cannot be compiled
	Capabilities CapabilityState
	Findings     []Finding // sorted by object, then field
}

// Severity of a finding.
type Severity string

// An Error leaves the object (or all of it that depends on the field) out of the snapshot; a Warning does not.
const (
	Error   Severity = "Error"
	Warning Severity = "Warning"
)

// Finding is one thing wrong with one object.
type Finding struct {
	Severity              Severity
	Kind, Namespace, Name string
	Field                 string // JSON path: spec.signing.keys[0].name
	Reason                string // exported condition reason: Conflict, RefNotFound, InvalidValue, Shadowed, …
	Message               string // says what is wrong and what to do; deterministic, no secrets
}

// Compile compiles one gateway.
func Compile(in Input) Output { panic("CONTRACT STUB") }
