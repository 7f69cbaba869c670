package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FederationGatewayStatus is what was seen of a gateway.
type FederationGatewayStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the gateway: Accepted, Programmed, Available, Ready, ReplayShared.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Addresses at which other organisations reach the gateway, as far as the cluster knows them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Addresses []string `json:"addresses,omitempty"`

	// Snapshot is the compiled configuration that was written last.
	// +optional
	Snapshot *SnapshotStatus `json:"snapshot,omitempty"`

	// Pods are the gateway pods, and how many of them serve that snapshot.
	// +optional
	Pods *PodsStatus `json:"pods,omitempty"`

	// AttachedDomains is the number of domains that the gateway answers for.
	// +optional
	AttachedDomains int32 `json:"attachedDomains,omitempty"`

	// Effective are the values in force where the spec leaves the choice.
	// +optional
	Effective *EffectiveGateway `json:"effective,omitempty"`

	// Replicas is the number of pods there are.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Selector of the pods, for autoscalers.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`

	// RemovalConfirmed echoes the annotation calfed.dev/confirm-removal that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	RemovalConfirmed string `json:"removalConfirmed,omitempty"`

	// ResetBackoffRequestedAt echoes the annotation calfed.dev/reset-backoff-requested-at that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ResetBackoffRequestedAt string `json:"resetBackoffRequestedAt,omitempty"`
}

// SnapshotStatus names a compiled configuration.
type SnapshotStatus struct {
	// IndexUID is the UID of the Secret with the index.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	IndexUID string `json:"indexUID,omitempty"`

	// Serial counts up with every change.
	// +optional
	Serial int64 `json:"serial,omitempty"`

	// Hash of the whole: equal for equal configurations.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash,omitempty"`

	// Domains in it.
	// +optional
	Domains int32 `json:"domains,omitempty"`
}

// PodsStatus counts gateway pods.
type PodsStatus struct {
	// Programmed pods serve the newest snapshot.
	// +optional
	Programmed int32 `json:"programmed"`

	// Total is the number of pods that serve or shall serve.
	// +optional
	Total int32 `json:"total"`
}

// EffectiveGateway are values in force.
type EffectiveGateway struct {
	// DefaultPolicy for peers without a PeerPolicy.
	// +optional
	DefaultPolicy Action `json:"defaultPolicy,omitempty"`

	// TLSSecret is the name of the Secret with the certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	TLSSecret string `json:"tlsSecret,omitempty"`

	// CapabilitiesSerial is the serial number of the capabilities document.
	// +optional
	CapabilitiesSerial int64 `json:"capabilitiesSerial,omitempty"`

	// MaxContentLength of a message, in octets.
	// +optional
	MaxContentLength int64 `json:"maxContentLength,omitempty"`
}
