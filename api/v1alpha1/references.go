package v1alpha1

// SecretRef names a Secret in the namespace of the object.
type SecretRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SecretKeyRef names one value in a Secret in the namespace of the object.
type SecretKeyRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key of the value in the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// BundleKind is the kind of object that holds a bundle of certificates.
//
// +kubebuilder:validation:Enum=ConfigMap;Secret
type BundleKind string

// The bundle kinds.
const (
	BundleConfigMap BundleKind = "ConfigMap"
	BundleSecret    BundleKind = "Secret"
)

// BundleRef names one value, PEM certificates, in a ConfigMap or Secret in the namespace of the object.
type BundleRef struct {
	// Kind is ConfigMap or Secret.
	// +required
	Kind BundleKind `json:"kind"`

	// Name of the ConfigMap or Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key of the value in its data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// GatewayRef names a FederationGateway. One in another namespace must let the domain attach (its spec.allowedDomains); the
// domain's signing keys and back-end credentials are then handed to that namespace.
type GatewayRef struct {
	// Name of the FederationGateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace of the FederationGateway. Absent means that of the object.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// KeyRef names a DKIMKey in the namespace of the object.
type KeyRef struct {
	// Name of the DKIMKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
