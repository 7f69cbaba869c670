package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PeerPolicy says who may talk with whom, and how.
//
// The most specific peer pattern decides, then the most specific domain pattern, then Deny over Allow, then the oldest
// policy, then the name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=ppol,categories=calfed
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Peers",type=string,JSONPath=`.spec.peers`
// +kubebuilder:printcolumn:name="Domains",type=string,JSONPath=`.spec.domains`,priority=1
// +kubebuilder:printcolumn:name="Covers",type=integer,JSONPath=`.status.domainCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PeerPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec PeerPolicySpec `json:"spec"`
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status PeerPolicyStatus `json:"status,omitzero"`
}

// PeerPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type PeerPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PeerPolicy `json:"items"`
}

// Action is what a policy does with its peers.
//
// +kubebuilder:validation:Enum=Allow;Deny
type Action string

// The actions.
const (
	ActionAllow Action = "Allow"
	ActionDeny  Action = "Deny"
)

// PeerPolicySpec is what a policy shall do.
//
// +kubebuilder:validation:XValidation:rule="self.action != 'Deny' || (!has(self.inbound) && !has(self.outbound))",message="a Deny policy refuses everything of its peers: remove inbound and outbound, or make it an Allow policy that lists the messages to accept"
type PeerPolicySpec struct {
	// Domains are the local domains covered. Absent means every domain of the namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Domains []DomainPattern `json:"domains,omitempty"`

	// Peers are the remote domains meant, as in the Originator's address.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Peers []DomainPattern `json:"peers"`

	// Action is Allow or Deny.
	// +required
	Action Action `json:"action"`

	// Inbound are the settings for what the peers send us.
	// +optional
	Inbound *Inbound `json:"inbound,omitempty"`

	// Outbound are the settings for what we send to the peers.
	// +optional
	Outbound *Outbound `json:"outbound,omitempty"`
}

// Requirement says whether something must be there.
//
// +kubebuilder:validation:Enum=Required;Optional
type Requirement string

// The requirements.
const (
	Required Requirement = "Required"
	Optional Requirement = "Optional"
)

// FreeBusy is how much of a user's busy time a peer sees.
//
// +kubebuilder:validation:Enum=Full;BusyOnly;Deny
type FreeBusy string

// The free/busy levels.
const (
	FreeBusyFull     FreeBusy = "Full"
	FreeBusyBusyOnly FreeBusy = "BusyOnly"
	FreeBusyDeny     FreeBusy = "Deny"
)

// UnknownUsers says what a peer learns about users that do not exist.
//
// +kubebuilder:validation:Enum=Tell;Hide
type UnknownUsers string

// The answers about unknown users.
const (
	UnknownUsersTell UnknownUsers = "Tell"
	UnknownUsersHide UnknownUsers = "Hide"
)

// Inbound are the settings for what peers send us.
type Inbound struct {
	// Messages are the components and methods the peers may send. Absent means all that the gateway accepts.
	// +optional
	// +listType=map
	// +listMapKey=component
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Messages []Messages `json:"messages,omitempty"`

	// Rate is how many requests each peer domain may make. Absent means no limit beside the gateway's.
	// +optional
	Rate Rate `json:"rate,omitempty"`

	// MaxRecipients is the largest number of recipients of one request. Absent means the gateway's.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRecipients *int32 `json:"maxRecipients,omitempty"`

	// MinRSABits is the size of the smallest RSA key accepted. Absent means 2048.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=4096
	MinRSABits *int32 `json:"minRSABits,omitempty"`

	// KeyLookup are the ways by which the peers' keys may be found. Absent means dns/txt and http/well-known, and none of
	// them where keys are pinned.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:XValidation:rule="self != 'private-exchange'",message="a key exchanged in private belongs in pinnedKeys; keyLookup takes dns/txt and http/well-known"
	KeyLookup []KeyLookupMethod `json:"keyLookup,omitempty"`

	// PinnedKeys are public keys agreed on with the peers. They exclude other ways to find a key, unless keyLookup lists
	// them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	PinnedKeys []PinnedKey `json:"pinnedKeys,omitempty"`

	// SignatureTime says whether signatures must carry a time (t=). Absent means Required.
	// +optional
	SignatureTime Requirement `json:"signatureTime,omitempty"`

	// MaxAge is how long after its time a signature is accepted. Absent means 1h.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be a time from 1m to 24h, such as 10m or 1h30m"
	// +kubebuilder:validation:Type=string
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// ContentTypeParameters says whether Content-Type must name component and method. Absent means Required; Bedework
	// leaves them out.
	// +optional
	ContentTypeParameters Requirement `json:"contentTypeParameters,omitempty"`

	// Strict refuses messages that break lesser rules of RFC 5546, which are otherwise only logged.
	// +optional
	Strict bool `json:"strict,omitempty"`

	// ThirdPartySigners are domains that may sign for the peers beside themselves and their parents.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	ThirdPartySigners []DomainName `json:"thirdPartySigners,omitempty"`

	// FreeBusy is how much of a user's busy time the peers see: Full (tentative and out-of-office told apart), BusyOnly or
	// Deny. Absent means BusyOnly.
	// +optional
	FreeBusy FreeBusy `json:"freeBusy,omitempty"`

	// UnknownUsers says whether the peers learn that a user does not exist (Tell), or see the same refusal for unknown and
	// refused users (Hide). Absent means Tell.
	// +optional
	UnknownUsers UnknownUsers `json:"unknownUsers,omitempty"`
}

// PinnedKey is a public key agreed on with a peer or a submitter.
type PinnedKey struct {
	// Domain is the d= of the signatures. Absent means any that may speak for the peer, or the submitter's domain.
	// +optional
	Domain DomainName `json:"domain,omitempty"`

	// Selector is the s= of the signatures.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$')",message="must be DNS labels: letters, digits and hyphens"
	Selector string `json:"selector"`

	// Record is the key as DNS would publish it: v=DKIM1; k=rsa; p=…
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Record string `json:"record"`
}

// SecureIdentity is a way to be sure of a discovered server's identity.
//
// +kubebuilder:validation:Enum=DNSSEC;SourceName
type SecureIdentity string

// The ways to be sure of an identity.
const (
	IdentityDNSSEC     SecureIdentity = "DNSSEC"
	IdentitySourceName SecureIdentity = "SourceName"
)

// SignatureProfile is a form of signatures.
//
// +kubebuilder:validation:Enum=DAViCal
type SignatureProfile string

// SignatureDAViCal is the form of the first draft of iSchedule, which DAViCal verifies.
const SignatureDAViCal SignatureProfile = "DAViCal"

// Outbound are the settings for what we send to peers.
type Outbound struct {
	// Endpoint is the https URL of the peers' receiver, without a query. With it no SRV record is looked up.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^https://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])(:[0-9]+)?(/[^?#]*)?$')",message="must be an https URL without user name, query and fragment"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://([^/?#@:]+|[[][0-9a-fA-F:.]+[]]):(0[0-9]*|[1-9][0-9]?|[1-35-9][0-9]{2}|4[0-35-9][0-9]|44[0-24-9]|10[01][0-9]|102[0-3]|[7-9][0-9]{4}|[0-9]{6,})(/.*)?$')",message="only port 443 and ports from 1024 on may be connected to"
	Endpoint string `json:"endpoint,omitempty"`

	// CABundleRef names certificates (PEM) that are trusted for these peers, in place of all others.
	// +optional
	CABundleRef *BundleRef `json:"caBundleRef,omitempty"`

	// CertificateSHA256 are pins: hex SHA-256 of the public key (SubjectPublicKeyInfo) of the server's certificate. One must match.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9a-fA-F]{64}$')",message="must be 64 hexadecimal digits without colons"
	CertificateSHA256 []string `json:"certificateSHA256,omitempty"`

	// ClientCertificateRef names a kubernetes.io/tls Secret with the certificate we show.
	// +optional
	ClientCertificateRef *SecretRef `json:"clientCertificateRef,omitempty"`

	// AuthorizationRef names the whole value of the Authorization field we send ("Bearer …").
	// +optional
	AuthorizationRef *SecretKeyRef `json:"authorizationRef,omitempty"`

	// RequireSecureIdentity demands more of a discovered server than a certificate for the host that DNS named: DNS answers
	// validated by DNSSEC, or a certificate for the recipients' own domain (SourceName).
	// +optional
	RequireSecureIdentity SecureIdentity `json:"requireSecureIdentity,omitempty"`

	// SignatureProfile is DAViCal for peers that run it: it verifies no other signature. Absent means the standard.
	// +optional
	SignatureProfile SignatureProfile `json:"signatureProfile,omitempty"`

	// Timeout of one request. Absent means 30s.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[smh])+$') && duration(self) >= duration('1s') && duration(self) <= duration('5m')",message="must be a time from 1s to 5m, such as 45s"
	// +kubebuilder:validation:Type=string
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// PeerPolicyStatus is what was seen of a policy.
type PeerPolicyStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the policy: Accepted, Programmed, Ready; Conflicted when another one decides before it.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// DomainCount is the number of domains that the policy covers.
	// +optional
	DomainCount int32 `json:"domainCount,omitempty"`

	// Domains are the first 16 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Domains []string `json:"domains,omitempty"`

	// ConflictedWith are the first 16 policies that decide before this one where both match.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	ConflictedWith []string `json:"conflictedWith,omitempty"`
}
