package v1alpha1

// Publish says who writes the domain's DNS records, and where.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'RFC2136') == has(self.rfc2136)",message="type RFC2136 needs the member rfc2136 with the server and the TSIG key"
type Publish struct {
	// Type is ExternalDNS, a DNSEndpoint for external-dns, or RFC2136, dynamic updates to a name server.
	// +required
	Type PublishType `json:"type"`

	// RFC2136 is the name server that takes dynamic updates.
	// +optional
	RFC2136 *RFC2136 `json:"rfc2136,omitempty"`

	// Delegated writes the records below a zone of the operator's, for owners who run their DNS themselves: they set the CNAME
	// records that status.records shows, once, and keys rotate without them. Use it with DKIMKeys whose selectors are
	// Alternating.
	// +optional
	Delegated *Delegated `json:"delegated,omitempty"`
}

// PublishType is who writes DNS records.
//
// +kubebuilder:validation:Enum=ExternalDNS;RFC2136
type PublishType string

// The publishers.
const (
	PublishExternalDNS PublishType = "ExternalDNS"
	PublishRFC2136     PublishType = "RFC2136"
)

// RFC2136 is a name server that takes dynamic updates (RFC 2136), signed with TSIG (RFC 8945).
type RFC2136 struct {
	// Server is the primary name server: a host name or IP address, and a port where it is not 53.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9.-]+|[[][0-9a-f:]+[]])(:[1-9][0-9]{0,4})?$')",message="must be a host name or IP address, with a port where it is not 53: ns1.example.org, 10.0.0.53:5353, [fd00::53]:53"
	Server string `json:"server"`

	// Zone that holds the records. Absent means the closest one for which the server has an SOA record.
	// +optional
	Zone DomainName `json:"zone,omitempty"`

	// TSIG is the key that signs updates.
	// +required
	TSIG TSIG `json:"tsig"`
}

// TSIG is a key shared with a name server.
type TSIG struct {
	// KeyName is the name under which the server knows the key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$')",message="must be a name of letters, digits, hyphens and dots, without a trailing dot"
	KeyName string `json:"keyName"`

	// Algorithm of the key. Absent means hmac-sha256.
	// +optional
	// +kubebuilder:validation:Enum=hmac-sha256;hmac-sha384;hmac-sha512
	Algorithm string `json:"algorithm,omitempty"`

	// SecretRef names the key itself, in base64 as name servers write it.
	// +required
	SecretRef SecretKeyRef `json:"secretRef"`
}

// Delegated is a zone that records are written below in place of the domain's own.
type Delegated struct {
	// Zone below which the records are written: those of example.org below example.org.{zone}.
	// +required
	Zone DomainName `json:"zone"`
}
