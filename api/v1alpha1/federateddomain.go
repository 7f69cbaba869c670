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
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Discoverable",type=string,JSONPath=`.status.conditions[?(@.type=="Discoverable")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
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

	// FreeBusyBackend answers free/busy questions in place of the backend. Absent means that the backend answers them.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.type != 'IMIP'",message="mail answers no free/busy question: choose ISchedule or CalDAV"
	FreeBusyBackend *Backend `json:"freeBusyBackend,omitempty"`

	// Fallback is what becomes of the users' messages to domains without iSchedule. Absent means that they are
	// refused.
	// +optional
	Fallback *Fallback `json:"fallback,omitempty"`

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

	// Publish writes the domain's DNS records. Absent means that they are set by hand: status.records shows them.
	// +optional
	Publish *Publish `json:"publish,omitempty"`
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

	// Mail lets the keys sign the mail that calfed writes for the domain's users (spec.fallback), too. Each must be a key of
	// serviceType Any, and mail receivers look for it by dns/txt alone. Absent means Disabled.
	// +optional
	Mail Switch `json:"mail,omitempty"`
}

// Fallback is a slower way to reach domains without iSchedule.
type Fallback struct {
	// Type is IMIP: mail through the gateway's smarthost.
	// +required
	Type FallbackType `json:"type"`
}

// FallbackType is a slower way to reach domains without iSchedule.
//
// +kubebuilder:validation:Enum=IMIP
type FallbackType string

// FallbackIMIP sends invitations and answers by mail (RFC 6047).
const FallbackIMIP FallbackType = "IMIP"
