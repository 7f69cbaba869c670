package v1alpha1

// Submitter is a local system that may send for the domain's users. It proves itself in one way.
//
// +kubebuilder:validation:XValidation:rule="[has(self.tokenRef), has(self.clientCertificate), has(self.basicRef), has(self.pinnedKey)].exists_one(way, way)",message="a submitter needs exactly one of tokenRef, clientCertificate, basicRef and pinnedKey"
type Submitter struct {
	// Name of the submitter, for the log.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="must be lower-case letters, digits and hyphens"
	Name string `json:"name"`

	// TokenRef names the bearer token that the submitter presents.
	// +optional
	TokenRef *SecretKeyRef `json:"tokenRef,omitempty"`

	// ClientCertificate says which client certificates are the submitter's.
	// +optional
	ClientCertificate *ClientCertificate `json:"clientCertificate,omitempty"`

	// BasicRef names a Secret (kubernetes.io/basic-auth) with the username and password that the submitter presents: over
	// HTTP, and where spec.submission.smtp of the gateway takes mail.
	// +optional
	BasicRef *SecretRef `json:"basicRef,omitempty"`

	// PinnedKey is the public key of the signatures on what the submitter hands over; its domain, when absent, is the
	// FederatedDomain's. For DAViCal.
	// +optional
	PinnedKey *PinnedKey `json:"pinnedKey,omitempty"`
}

// ClientCertificate says which client certificates are a submitter's.
type ClientCertificate struct {
	// CARef names the certificates (PEM) of the authorities that sign the submitter's certificate.
	// +required
	CARef BundleRef `json:"caRef"`

	// Names are the DNS names or URIs of which the certificate must carry one as a subject alternative name.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Names []string `json:"names"`
}
