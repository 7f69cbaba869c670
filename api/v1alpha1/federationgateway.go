package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FederationGateway is a gateway: the place where other organisations' calendar servers reach our domains, and from
// which our messages leave. Services are named after it, and what is made for it carries its name in a label.
//
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$')",message="the name must be at most 52 lower-case letters, digits and -, and begin with a letter: Services are named after it"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:scope=Namespaced,shortName=fgw,categories=calfed
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="Domains",type=integer,JSONPath=`.status.attachedDomains`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0]`,priority=1
// +kubebuilder:printcolumn:name="Default",type=string,JSONPath=`.spec.defaultPolicy`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type FederationGateway struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec FederationGatewaySpec `json:"spec"`
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status FederationGatewayStatus `json:"status,omitzero"`
}

// FederationGatewayList is a list of gateways.
//
// +kubebuilder:object:root=true
type FederationGatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FederationGateway `json:"items"`
}

// FederationGatewaySpec is what a gateway shall be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="set replicas or autoscaling, not both: the autoscaler decides how many pods there are"
type FederationGatewaySpec struct {
	// Host is the name other organisations reach the gateway by: the target of the SRV records, and a name in the
	// certificate.
	// +required
	Host DomainName `json:"host"`

	// TLS says where the gateway's certificate comes from.
	// +required
	TLS GatewayTLS `json:"tls"`

	// DefaultPolicy decides about messages of peers that no PeerPolicy matches: Allow or Deny. Absent means Deny.
	// +optional
	DefaultPolicy Action `json:"defaultPolicy,omitempty"`

	// Capabilities are what the gateway advertises and enforces.
	// +optional
	Capabilities *Capabilities `json:"capabilities,omitempty"`

	// Egress says where outgoing connections may lead. Public addresses always may.
	// +optional
	Egress *Egress `json:"egress,omitempty"`

	// Discovery switches on optional ways to find another organisation's receiver.
	// +optional
	Discovery *Discovery `json:"discovery,omitempty"`

	// Limits are the gateway's budgets.
	// +optional
	Limits *Limits `json:"limits,omitempty"`

	// Submission is how local systems hand the gateway mail, and where mail leaves it.
	// +optional
	Submission *Submission `json:"submission,omitempty"`

	// AllowedDomains says which FederatedDomains may attach to the gateway: one that any entry allows. Absent means those of
	// the gateway's namespace, whatever their name, without proof.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	AllowedDomains []AllowedDomains `json:"allowedDomains,omitempty"`

	// Replicas is the number of gateway pods. Absent means 2; kubectl scale needs it set. 0 pauses the gateway: nobody is
	// served, which is what was asked for, so it is Ready with the reason Paused; its domains are not Ready. It has no effect
	// outside of a cluster, like all fields below.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// Autoscaling lets the number of pods follow their use of CPU. It takes the place of replicas.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// Exposure is how other organisations reach the pods.
	// +optional
	Exposure *Exposure `json:"exposure,omitempty"`

	// NetworkPolicy bounds who the pods talk with.
	// +optional
	NetworkPolicy *NetworkPolicy `json:"networkPolicy,omitempty"`

	// PodTemplate adds to the gateway pods.
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`

	// Monitoring is for clusters with the Prometheus Operator, where the gateway gets a ServiceMonitor and a PrometheusRule.
	// +optional
	Monitoring *Monitoring `json:"monitoring,omitempty"`
}

// TLSType is where a certificate comes from.
//
// +kubebuilder:validation:Enum=Secret;CertManager
type TLSType string

// The sources of certificates.
const (
	TLSSecret      TLSType = "Secret"      // a Secret of type kubernetes.io/tls
	TLSCertManager TLSType = "CertManager" // a Certificate of cert-manager, made and owned by the operator
)

// Switch turns something on or off.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

// The positions of a Switch.
const (
	Enabled  Switch = "Enabled"
	Disabled Switch = "Disabled"
)

// GatewayTLS is the TLS side of the public listener.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Secret') == has(self.secret)",message="type Secret needs the member secret with the name of a kubernetes.io/tls Secret"
// +kubebuilder:validation:XValidation:rule="(self.type == 'CertManager') == has(self.certManager)",message="type CertManager needs the member certManager with the issuerRef"
type GatewayTLS struct {
	// Type is Secret or CertManager.
	// +required
	Type TLSType `json:"type"`

	// Secret of type kubernetes.io/tls with the certificate chain (tls.crt) and its key (tls.key).
	// +optional
	Secret *SecretRef `json:"secret,omitempty"`

	// CertManager asks cert-manager for a certificate for the host; it lies in the Secret {gateway}-tls.
	// +optional
	CertManager *CertManager `json:"certManager,omitempty"`

	// SessionTickets can be Disabled for clients that hang on TLS 1.3 session tickets, as Cyrus IMAP does when it
	// connects to a gateway. Absent means Enabled.
	// +optional
	SessionTickets Switch `json:"sessionTickets,omitempty"`
}

// Capabilities is the gateway's capabilities document, save its serial number. What is absent takes the effective
// default; what is advertised is enforced.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minDateTime) || !has(self.maxDateTime) || self.minDateTime < self.maxDateTime",message="minDateTime must lie before maxDateTime"
type Capabilities struct {
	// Messages are the component kinds and methods accepted. Absent means all that calfed knows.
	// +optional
	// +listType=map
	// +listMapKey=component
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Messages []Messages `json:"messages,omitempty"`

	// Attachments are the kinds of ATTACH values accepted: inline, external, both or, with an empty list, none. Absent
	// means external.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Attachments []AttachmentKind `json:"attachments,omitzero"`

	// MaxContentLength is the size of the largest message accepted, in octets. Absent means 1 MiB.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=67108864
	MaxContentLength *int64 `json:"maxContentLength,omitempty"`

	// MinDateTime is the earliest date accepted in a message. Absent means 1900-01-01T00:00:00Z.
	// +optional
	MinDateTime *metav1.Time `json:"minDateTime,omitempty"`

	// MaxDateTime is the latest date accepted in a message. Absent means 2100-01-01T00:00:00Z.
	// +optional
	MaxDateTime *metav1.Time `json:"maxDateTime,omitempty"`

	// MaxInstances is the largest number of instances of a recurring component. Absent means 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxInstances *int32 `json:"maxInstances,omitempty"`

	// MaxRecipients is the largest number of recipients of one request. Absent means 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRecipients *int32 `json:"maxRecipients,omitempty"`

	// Administrator is the URI of the person to write to about the gateway. Absent means the postmaster of the host.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(mailto:[^@ ]+@[^@ ]+|https://[^ ]+)$')",message="must be a mailto: address or an https: page, such as mailto:postmaster@example.org"
	Administrator string `json:"administrator,omitempty"`
}

// AttachmentKind is a way an attachment comes: within the message, or as a reference to somewhere else.
//
// +kubebuilder:validation:Enum=inline;external
type AttachmentKind string

// The kinds of attachments.
const (
	AttachmentInline   AttachmentKind = "inline"
	AttachmentExternal AttachmentKind = "external"
)

// Egress says where outgoing connections may lead. Globally routable addresses are always allowed, cloud metadata
// addresses never.
type Egress struct {
	// BackendCIDRs are further address ranges in which configured targets (back ends, endpoints of policies) may live.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	BackendCIDRs []CIDR `json:"backendCIDRs,omitempty"`

	// PeerCIDRs are further address ranges that discovery of other organisations' servers may lead to. Leave it empty
	// where DNS of strangers is asked: it lets them point the gateway at these addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	PeerCIDRs []CIDR `json:"peerCIDRs,omitempty"`

	// Resolver is the address and port of the DNS resolver. Absent means the system's.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9.]+|[[][0-9a-fA-F:]+[]]):[1-9][0-9]{0,4}$')",message="must be an IP address and a port: 10.0.0.53:53 or [fd00::53]:53"
	Resolver string `json:"resolver,omitempty"`

	// CABundleRef names certificates (PEM) that are trusted beside the system's roots.
	// +optional
	CABundleRef *BundleRef `json:"caBundleRef,omitempty"`
}

// Discovery are the optional steps on the way to another organisation's receiver. Both are off by default.
type Discovery struct {
	// ParentDomains asks the parents of a domain that has no SRV record, up to below the public suffix.
	// +optional
	ParentDomains bool `json:"parentDomains,omitempty"`

	// WellKnown tries https://{domain}/.well-known/ischedule where there is no SRV record.
	// +optional
	WellKnown bool `json:"wellKnown,omitempty"`
}

// Limits are the budgets of a gateway. A source is an IPv4 address or an IPv6 /64.
type Limits struct {
	// MaxConnections is the number of connections open at once. Absent means 4096.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// MaxConnectionsPerSource is the number of connections open at once from one source. Absent means 64.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxConnectionsPerSource *int32 `json:"maxConnectionsPerSource,omitempty"`

	// RequestsPerSource is how often one source may ask. Absent means 50/s.
	// +optional
	RequestsPerSource Rate `json:"requestsPerSource,omitempty"`

	// KeyLookupsPerSource is how often messages of one source may cause a look-up of a key. Absent means 5/s.
	// +optional
	KeyLookupsPerSource Rate `json:"keyLookupsPerSource,omitempty"`
}
