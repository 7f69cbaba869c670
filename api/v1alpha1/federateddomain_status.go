package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FederatedDomainStatus is what was seen of a domain.
type FederatedDomainStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the domain: Accepted, OwnershipProven, KeyReady, Published, Programmed, and Ready, which is these; beside
	// it Discoverable and BackendReachable.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Host is the host of the gateway.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`

	// Ownership is the TXT record that proves who owns the domain, where proof is required. Its owner sets it.
	// +optional
	Ownership *OwnershipChallenge `json:"ownership,omitempty"`

	// CompiledHash names what was compiled of the domain: equal for equal configurations, empty when it is left out.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CompiledHash string `json:"compiledHash,omitempty"`

	// RecordCount is the number of DNS records that the domain needs.
	// +optional
	RecordCount int32 `json:"recordCount,omitempty"`

	// Records are the first 16 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Records []RecordStatus `json:"records,omitempty"`

	// Zone is where records were written by dynamic update, so that they can be taken back.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Zone string `json:"zone,omitempty"`

	// ProbeRequestedAt echoes the annotation calfed.dev/probe-requested-at that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ProbeRequestedAt string `json:"probeRequestedAt,omitempty"`

	// ResetBackoffRequestedAt echoes the annotation calfed.dev/reset-backoff-requested-at that was obeyed last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ResetBackoffRequestedAt string `json:"resetBackoffRequestedAt,omitempty"`
}

// OwnershipChallenge is a TXT record.
type OwnershipChallenge struct {
	// Name of the record.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	Name string `json:"name,omitempty"`

	// Value of the record.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Value string `json:"value,omitempty"`
}

// RecordStatus is a DNS record as it should be, and as it is.
type RecordStatus struct {
	// Name of the record, with the trailing dot.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`

	// Type is SRV, TXT or CNAME.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Type string `json:"type,omitempty"`

	// Expected is the data as zone files write it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Expected string `json:"expected,omitempty"`

	// Observed is the data on the first authoritative server that differs, or "ok", or "nothing".
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Observed string `json:"observed,omitempty"`
}
