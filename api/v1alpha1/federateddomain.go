package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FederatedDomain is a calendar domain that a gateway answers for.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=fdom,categories=calfed
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="Gateway",type=string,JSONPath=`.spec.gatewayRef.name`
// +kubebuilder:printcolumn:name="Backend",type=string,JSONPath=`.spec.backend.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type FederatedDomain struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec FederatedDomainSpec `json:"spec"`
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status FederatedDomainStatus `json:"status,omitzero"`
}

// FederatedDomainList is a list of domains.
//
// +kubebuilder:object:root=true
type FederatedDomainList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FederatedDomain `json:"items"`
}

// FederatedDomainSpec is what a domain shall be.
type FederatedDomainSpec struct {
	// Domain is the part of the users' addresses behind the @. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the domain cannot be changed: create another FederatedDomain for the new one"
	Domain DomainName `json:"domain"`

	// GatewayRef names the gateway that answers for the domain.
	// +required
	GatewayRef GatewayRef `json:"gatewayRef"`

	// Signing says how messages of the domain's users are signed. Without it the domain receives only.
	// +optional
	Signing *Signing `json:"signing,omitempty"`

	// Backend is where messages for the domain's users go.
	// +required
	Backend Backend `json:"backend"`

	// Accepts narrows the gateway's components and methods for this domain. Absent means all of them.
	// +optional
	// +listType=map
	// +listMapKey=component
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Accepts []Messages `json:"accepts,omitempty"`

	// Submitters are the local systems that may send for the domain's users.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Submitters []Submitter `json:"submitters,omitempty"`
}

// Signing is how messages of a domain are signed.
type Signing struct {
	// Keys are the DKIMKeys that are published, say an RSA and an Ed25519 one. The first RSA key signs, as some receivers know
	// no other kind; without one the first key does. Their domain is the FederatedDomain's or a parent of it.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Keys []KeyRef `json:"keys"`

	// Lookup are the ways by which receivers find the public key, in the order they shall try. Absent means dns/txt, then
	// http/well-known.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Lookup []KeyLookupMethod `json:"lookup,omitempty"`

	// SignatureLifetime is how long after its time (t=) a signature of ours expires (x=). Absent means 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="must be a time from 1m to 1h, such as 10m"
	SignatureLifetime *metav1.Duration `json:"signatureLifetime,omitempty"`
}

// BackendType is a way to reach a calendar server.
//
// +kubebuilder:validation:Enum=ISchedule
type BackendType string

// BackendISchedule hands messages to the calendar server's own iSchedule endpoint.
const BackendISchedule BackendType = "ISchedule"

// Backend is where messages for local users go: one member, named by type.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'ISchedule') == has(self.iSchedule)",message="type ISchedule needs the member iSchedule with the url of the calendar server's iSchedule endpoint"
type Backend struct {
	// Type is ISchedule.
	// +required
	Type BackendType `json:"type"`

	// ISchedule is the calendar server's own iSchedule endpoint.
	// +optional
	ISchedule *ISchedule `json:"iSchedule,omitempty"`
}

// ISchedule is a calendar server's own iSchedule endpoint.
type ISchedule struct {
	// URL of the endpoint, http or https, on port 443 or a port from 1024 on.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^https?://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])(:[0-9]+)?(/[^#]*)?$')",message="must be an http or https URL without user name and fragment"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(http://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])|https?://([^/?#@:]+|[[][0-9a-fA-F:.]+[]]):(0[0-9]*|[1-9][0-9]?|[1-35-9][0-9]{2}|4[0-35-9][0-9]|44[0-24-9]|10[01][0-9]|102[0-3]|[7-9][0-9]{4}|[0-9]{6,}))(/.*)?$')",message="only port 443 and ports from 1024 on may be connected to: name one in the URL"
	URL string `json:"url"`
}

// Submitter is a local system that may send for the domain's users. It proves itself by a token or a certificate.
//
// +kubebuilder:validation:XValidation:rule="has(self.tokenRef) != has(self.clientCertificate)",message="a submitter needs exactly one of tokenRef and clientCertificate"
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

// FederatedDomainStatus is what was seen of a domain.
type FederatedDomainStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the domain.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
