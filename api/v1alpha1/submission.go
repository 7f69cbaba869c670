package v1alpha1

// Submission is how local systems hand the gateway mail, and where mail leaves it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.smtp) || has(self.smarthost)",message="smtp needs smarthost: mail that is no invitation must go somewhere"
type Submission struct {
	// SMTP takes mail from the submitters that have a basicRef. Absent means that no mail is taken.
	// +optional
	SMTP *SMTPSubmission `json:"smtp,omitempty"`

	// Smarthost is the server that mail leaves by. Absent means that no mail can leave.
	// +optional
	Smarthost *MailServer `json:"smarthost,omitempty"`
}

// SMTPSubmission is the way in for mail.
type SMTPSubmission struct {
	// MaxMessageSize is the size of the largest mail taken, in octets. Absent means 32 MiB.
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=268435456
	MaxMessageSize *int64 `json:"maxMessageSize,omitempty"`

	// MaxRecipients is the largest number of recipients of one mail. Absent means 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRecipients *int32 `json:"maxRecipients,omitempty"`

	// AuthservID is the name under which the organisation's own mail server writes Authentication-Results into mail from strangers
	// that it hands on: where such a field stands above all others, it is believed. Absent means that none is, and DKIM and
	// DMARC are checked here.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",message="must be the name as it stands in Authentication-Results, such as mx.example.org"
	AuthservID string `json:"authservID,omitempty"`
}

// MailTLS is how a connection to a mail server is protected.
//
// +kubebuilder:validation:Enum=StartTLS;Implicit;None
type MailTLS string

// The ways to protect a connection.
const (
	MailStartTLS MailTLS = "StartTLS" // demanded: without it no mail is handed over
	MailImplicit MailTLS = "Implicit" // from the first octet on
	MailPlain    MailTLS = "None"
)

// MailServer is a server that mail is handed to.
//
// +kubebuilder:validation:XValidation:rule="self.tls != 'None' || !has(self.credentialsRef)",message="credentials need TLS: choose StartTLS or Implicit, or remove credentialsRef"
type MailServer struct {
	// Host is the server's name or IP address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="isIP(self) || self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",message="must be a host name in lower case or an IP address, without a port"
	Host string `json:"host"`

	// Port of the server: 25, 465, 587 or one from 1024 on.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="self in [25, 465, 587] || self >= 1024",message="only the ports 25, 465, 587 and those from 1024 on may be connected to"
	Port int32 `json:"port"`

	// TLS is StartTLS (587, 25), Implicit (465) or None.
	// +required
	TLS MailTLS `json:"tls"`

	// CredentialsRef names a Secret (kubernetes.io/basic-auth) with the username and password to log in with. Absent means
	// that the server asks for none.
	// +optional
	CredentialsRef *SecretRef `json:"credentialsRef,omitempty"`
}
