package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CertManager says who issues the certificate.
type CertManager struct {
	// IssuerRef names an issuer of cert-manager.
	// +required
	IssuerRef IssuerRef `json:"issuerRef"`
}

// IssuerRef names an issuer of cert-manager.
type IssuerRef struct {
	// Name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Kind of the issuer. Absent means Issuer, in the namespace of the gateway.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// Group of the issuer's API. Absent means cert-manager.io.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
}

// AllowedDomains lets FederatedDomains attach that match all of it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="from: Selector needs the member selector, by which namespaces are chosen"
type AllowedDomains struct {
	// From says which namespaces: Same, the gateway's own; All; or Selector. Absent means Same.
	// +optional
	From DomainsFrom `json:"from,omitempty"`

	// Selector chooses namespaces by their labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// Domains that may be claimed. Absent means any.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Domains []DomainPattern `json:"domains,omitempty"`

	// BackendHosts are the hosts that back ends of the domains, and endpoints of their namespaces' PeerPolicies, may have: names,
	// "*.suffix", addresses or ranges of them. It bounds where a tenant can send the gateway's connections. Absent means any
	// for the gateway's own namespace, and none for others.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	BackendHosts []HostPattern `json:"backendHosts,omitempty"`

	// DelegatedZones are the zones below which external-dns may write for domains of other namespaces (publish.delegated.zone of type
	// ExternalDNS): it has rights that tenants have not. Absent means none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	DelegatedZones []DomainName `json:"delegatedZones,omitempty"`

	// Proof of ownership, by a TXT record that the FederatedDomain's status shows. Absent means Required, and NotRequired for
	// the gateway's own namespace.
	// +optional
	Proof ProofRequirement `json:"proof,omitempty"`
}

// DomainsFrom is a choice of namespaces.
//
// +kubebuilder:validation:Enum=Same;All;Selector
type DomainsFrom string

// The choices of namespaces.
const (
	FromSame     DomainsFrom = "Same"
	FromAll      DomainsFrom = "All"
	FromSelector DomainsFrom = "Selector"
)

// HostPattern is a host name ("dav.example.org"), every name below a suffix ("*.example.org"), an address, a range of
// addresses ("10.1.0.0/16") or everything ("*").
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="isCIDR(self) || isIP(self) || self.matches('^([*]|([*][.])?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])*[a-z]([a-z0-9-]{0,61}[a-z0-9])?)$')",message="must be a host name in lower case, a suffix (*.example.org), an IP address, a range (10.1.0.0/16) or *"
type HostPattern string

// ProofRequirement says whether the ownership of a domain must be proven.
//
// +kubebuilder:validation:Enum=Required;NotRequired
type ProofRequirement string

// The requirements.
const (
	ProofRequired    ProofRequirement = "Required"
	ProofNotRequired ProofRequirement = "NotRequired"
)

// Autoscaling bounds the number of pods.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be more than maxReplicas"
type Autoscaling struct {
	// MinReplicas is the smallest number of pods. Absent means 2, or maxReplicas where that is less.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// MaxReplicas is the largest number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxReplicas int32 `json:"maxReplicas"`

	// TargetCPUUtilization is the use of CPU aimed at, in percent of what the pods request. Absent means 70.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	TargetCPUUtilization *int32 `json:"targetCPUUtilization,omitempty"`
}

// Exposure is how other organisations reach the pods. TLS ends in the pods: a load balancer that passes connections through
// keeps signatures whole. A proxy that takes requests apart may fold or join header fields, which breaks signatures of
// strangers: httpRoute is for where nothing else is to be had.
type Exposure struct {
	// Service of the pods.
	// +optional
	Service *ServiceExposure `json:"service,omitempty"`

	// HTTPRoute attaches the gateway to a Gateway of the Gateway API, which ends TLS and connects to the pods anew.
	// +optional
	HTTPRoute *HTTPRouteExposure `json:"httpRoute,omitempty"`
}

// ServiceExposure is the Service of the pods.
type ServiceExposure struct {
	// Type of the Service. Absent means ClusterIP.
	// +optional
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// Annotations of the Service, say for a cloud's load balancer.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`

	// ExternalTrafficPolicy of types NodePort and LoadBalancer. Absent means Local, which keeps the addresses of peers: limits
	// per source need them.
	// +optional
	// +kubebuilder:validation:Enum=Local;Cluster
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
}

// HTTPRouteExposure is an HTTPRoute to the pods.
type HTTPRouteExposure struct {
	// ParentRefs are the Gateways to attach to.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ParentRefs []ParentRef `json:"parentRefs"`
}

// ParentRef names a Gateway of the Gateway API.
type ParentRef struct {
	// Name of the Gateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace of the Gateway. Absent means that of the object.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// SectionName is one of its listeners. Absent means any that fits.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`
}

// NetworkPolicy bounds who the pods talk with. What comes in is always bounded to the ports that are served.
type NetworkPolicy struct {
	// Egress Enabled also bounds where connections lead: DNS, the API server, back ends and peers (spec.egress), the smarthost,
	// and public addresses at port 443 and from 1024 on. Where several API servers stand behind one Service, the operator must
	// be told of them (calfed manager --api-server-addrs). Absent means Disabled.
	// +optional
	Egress Switch `json:"egress,omitempty"`
}

// PodTemplate adds to the gateway pods.
type PodTemplate struct {
	// Metadata is added to that of the pods.
	// +optional
	Metadata *PodMetadata `json:"metadata,omitempty"`

	// Resources of the gateway container.
	// +optional
	Resources *PodResources `json:"resources,omitempty"`

	// ImagePullSecrets are Secrets in the gateway's namespace with which nodes pull the image. Without any, those of the pods'
	// ServiceAccount count.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []SecretRef `json:"imagePullSecrets,omitempty"`

	// NodeSelector of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Affinity of the pods, beside their spreading over nodes and zones. Absent means none.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// PriorityClassName of the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// Env are environment variables of the gateway container: GOMEMLIMIT and the like. No secrets: they
	// are readable by all who may read the gateway.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Env []EnvVar `json:"env,omitempty"`
}

// PodMetadata are labels and annotations.
type PodMetadata struct {
	// Labels of the pods. Those that the operator sets win.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodResources are requests and limits.
type PodResources struct {
	// Requests of CPU and memory. Absent means 100m and 128Mi.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// Limits of CPU and memory. Absent means none for CPU, and 512Mi.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// EnvVar is an environment variable with a literal value.
type EnvVar struct {
	// Name of the variable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",message="must be letters, digits and underscores, such as GOMEMLIMIT"
	Name string `json:"name"`

	// Value of the variable.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value,omitempty"`
}

// Monitoring is for clusters with the Prometheus Operator.
type Monitoring struct {
	// Labels of the ServiceMonitor and the PrometheusRule, by which a Prometheus chooses them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Labels map[string]string `json:"labels,omitempty"`
}
