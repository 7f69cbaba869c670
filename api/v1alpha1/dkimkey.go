package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DKIMKey is a key that signs messages.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=dkey,categories=calfed
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source.type`
// +kubebuilder:printcolumn:name="Selector",type=string,JSONPath=`.status.activeSelector`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Rotation",type=date,JSONPath=`.status.nextRotation`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DKIMKey struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec DKIMKeySpec `json:"spec"`
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status DKIMKeyStatus `json:"status,omitzero"`
}

// DKIMKeyList is a list of keys.
//
// +kubebuilder:object:root=true
type DKIMKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DKIMKey `json:"items"`
}

// DKIMKeySpec is what a key shall be.
type DKIMKeySpec struct {
	// Domain is what the signatures speak for (d=). It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the domain cannot be changed: create another DKIMKey for the new one"
	Domain DomainName `json:"domain"`

	// ServiceType is what the published record lets the key sign: Any, e-mail included, or ISchedule alone. Some receivers,
	// Cyrus IMAP and DAViCal among them, take Any only. Absent means Any.
	// +optional
	ServiceType ServiceType `json:"serviceType,omitempty"`

	// Source is where the key comes from.
	// +required
	Source KeySource `json:"source"`

	// Revoked are selectors whose keys must not be believed any more: they sign nothing from now on, and their records say
	// that they are revoked (an empty p=).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Revoked []Selector `json:"revoked,omitempty"`
}

// Selector names a key of a domain (RFC 6376 §3.1).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="must be DNS labels in lower case: letters, digits and hyphens, such as cal2026"
type Selector string

// ServiceType is what a key may sign.
//
// +kubebuilder:validation:Enum=Any;ISchedule
type ServiceType string

// The service types.
const (
	ServiceAny       ServiceType = "Any"
	ServiceISchedule ServiceType = "ISchedule"
)

// KeySourceType is where a key comes from.
//
// +kubebuilder:validation:Enum=Imported;Generated
type KeySourceType string

// The sources of keys.
const (
	KeyImported  KeySourceType = "Imported"  // made elsewhere, and lies in a Secret
	KeyGenerated KeySourceType = "Generated" // made and rotated by the operator
)

// KeySource is where a key comes from: one member, named by type.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Imported') == has(self.imported)",message="type Imported needs the member imported with the selector and the secretRef of the private key"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Generated') == has(self.generated)",message="type Generated needs the member generated, which may be empty: generated: {}"
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="the type of the source cannot be changed, or the old key would vanish at once: create another DKIMKey, and name both in spec.signing.keys until the new one signs"
type KeySource struct {
	// Type is Imported or Generated. It cannot be changed.
	// +required
	Type KeySourceType `json:"type"`

	// Imported is a key that was made elsewhere.
	// +optional
	Imported *ImportedKey `json:"imported,omitempty"`

	// Generated is a key that the operator makes, publishes and rotates. Standalone mode knows none.
	// +optional
	Generated *GeneratedKey `json:"generated,omitempty"`
}

// ImportedKey is a key that was made elsewhere and lies in a Secret.
type ImportedKey struct {
	// Selector under which the public key is published (s=). A selector is never used for another key.
	// +required
	Selector Selector `json:"selector"`

	// SecretRef names the private key: PEM, PKCS#8 or PKCS#1, RSA from 1024 to 4096 bits or Ed25519.
	// +required
	SecretRef SecretKeyRef `json:"secretRef"`
}
