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

	// Published is what was written and where, so that it can be taken back.
	// +optional
	Published *PublishedRecords `json:"published,omitempty"`

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

// PublishedRecords is what was written for a domain, and where.
type PublishedRecords struct {
	// Type is the publisher that wrote them.
	// +optional
	Type PublishType `json:"type,omitempty"`

	// RFC2136 is the name server they were written to.
	// +optional
	RFC2136 *RFC2136 `json:"rfc2136,omitempty"`

	// Records that were written, or are about to be.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=512
	Records []PublishedRecord `json:"records,omitempty"`
}

// PublishedRecord is one set of records: all those of one type at one name.
type PublishedRecord struct {
	// Name of the records, with the trailing dot.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`

	// Type is SRV, TXT or CNAME.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Type string `json:"type"`

	// Written is a hash of the data that was written last; empty when none was.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Written string `json:"written,omitempty"`

	// Intended is a hash of the data that is about to be written; empty when none is.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Intended string `json:"intended,omitempty"`
}
