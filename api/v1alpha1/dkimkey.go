package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DKIMKey is a key that signs messages.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=dkey,categories=calfed
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source.type`
// +kubebuilder:printcolumn:name="Selector",type=string,JSONPath=`.spec.source.imported.selector`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
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
	// Domain is what the signatures speak for (d=).
	// +required
	Domain DomainName `json:"domain"`

	// ServiceType is what the published record lets the key sign: Any, e-mail included, or ISchedule alone. Some receivers,
	// Cyrus IMAP and DAViCal among them, take Any only. Absent means Any.
	// +optional
	ServiceType ServiceType `json:"serviceType,omitempty"`

	// Source is where the key comes from.
	// +required
	Source KeySource `json:"source"`
}

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
// +kubebuilder:validation:Enum=Imported
type KeySourceType string

// KeyImported is a key that was made elsewhere and lies in a Secret.
const KeyImported KeySourceType = "Imported"

// KeySource is where a key comes from: one member, named by type.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Imported') == has(self.imported)",message="type Imported needs the member imported with the selector and the secretRef of the private key"
type KeySource struct {
	// Type is Imported.
	// +required
	Type KeySourceType `json:"type"`

	// Imported is a key that was made elsewhere.
	// +optional
	Imported *ImportedKey `json:"imported,omitempty"`
}

// ImportedKey is a key that was made elsewhere and lies in a Secret.
type ImportedKey struct {
	// Selector under which the public key is published (s=).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="must be DNS labels in lower case: letters, digits and hyphens, such as cal2026"
	Selector string `json:"selector"`

	// SecretRef names the private key: PEM, PKCS#8 or PKCS#1, RSA from 1024 to 4096 bits or Ed25519.
	// +required
	SecretRef SecretKeyRef `json:"secretRef"`
}

// DKIMKeyStatus is what was seen of a key.
type DKIMKeyStatus struct {
	// ObservedGeneration is the generation that the conditions speak of; -1 before any was seen.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions of the key.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
