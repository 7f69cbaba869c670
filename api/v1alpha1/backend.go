package v1alpha1

// BackendType is a way to reach a calendar system.
//
// +kubebuilder:validation:Enum=ISchedule;CalDAV;IMIP
type BackendType string

// The back ends.
const (
	BackendISchedule BackendType = "ISchedule" // the calendar server's own iSchedule endpoint
	BackendCalDAV    BackendType = "CalDAV"    // writes into the users' calendars
	BackendIMIP      BackendType = "IMIP"      // mail, for a system that reads invitations from it
)

// Backend is where messages for local users go: one member, named by type. A calendar system's own way in (ISchedule,
// IMIP) is to be preferred to CalDAV.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'ISchedule') == has(self.iSchedule)",message="type ISchedule needs the member iSchedule with the url of the calendar server's iSchedule endpoint"
// +kubebuilder:validation:XValidation:rule="(self.type == 'CalDAV') == has(self.calDAV)",message="type CalDAV needs the member calDAV with the url and the profile of the calendar server"
// +kubebuilder:validation:XValidation:rule="self.type == 'IMIP' || !has(self.iMIP)",message="the member iMIP belongs to type IMIP"
type Backend struct {
	// Type is ISchedule, CalDAV or IMIP.
	// +required
	Type BackendType `json:"type"`

	// ISchedule is the calendar server's own iSchedule endpoint.
	// +optional
	ISchedule *ISchedule `json:"iSchedule,omitempty"`

	// CalDAV is a calendar server into whose calendars messages are written.
	// +optional
	CalDAV *CalDAV `json:"calDAV,omitempty"`

	// IMIP is a calendar system that only reads mail. It may be absent with type IMIP: mail goes to the gateway's
	// smarthost then.
	// +optional
	IMIP *IMIP `json:"iMIP,omitempty"`
}

// BackendURL is an http or https URL on port 443 or a port from 1024 on.
//
// +kubebuilder:validation:MaxLength=2048
// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^https?://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])(:[0-9]+)?(/[^#]*)?$')",message="must be an http or https URL without user name and fragment"
// +kubebuilder:validation:XValidation:rule="!self.matches('^(http://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])|https?://([^/?#@:]+|[[][0-9a-fA-F:.]+[]]):(0[0-9]*|[1-9][0-9]?|[1-35-9][0-9]{2}|4[0-35-9][0-9]|44[0-24-9]|10[01][0-9]|102[0-3]|[7-9][0-9]{4}|[0-9]{6,}))(/.*)?$')",message="only port 443 and ports from 1024 on may be connected to: name one in the URL"
type BackendURL string

// ISchedule is a calendar server's own iSchedule endpoint.
type ISchedule struct {
	// URL of the endpoint, http or https, on port 443 or a port from 1024 on.
	// +required
	URL BackendURL `json:"url"`
}

// CalDAVProfile names the server whose ways are followed.
//
// +kubebuilder:validation:Enum=Cyrus;DAViCal;Radicale;SabreDAV
type CalDAVProfile string

// The profiles.
const (
	ProfileCyrus    CalDAVProfile = "Cyrus"
	ProfileDAViCal  CalDAVProfile = "DAViCal"
	ProfileRadicale CalDAVProfile = "Radicale"
	ProfileSabreDAV CalDAVProfile = "SabreDAV"
)

// CalDAVPath is an absolute path on a CalDAV server.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.matches('^(/([A-Za-z0-9._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+/?$') && !self.matches('/[.][.]?(/|$)')",message="must be an absolute path without query, such as /dav/principals/user/calfed/"
type CalDAVPath string

// CalDAV is a calendar server into whose calendars messages are written.
//
// +kubebuilder:validation:XValidation:rule="self.profile != 'Radicale' || has(self.principalTemplate)",message="Radicale does not know its users' addresses: say with principalTemplate who is who, such as /{local}/"
type CalDAV struct {
	// URL of the server, or of the folder that its principals are found from: http or https, on port 443 or a port from
	// 1024 on, without a query.
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.contains('?')",message="must be a URL without a query"
	URL BackendURL `json:"url"`

	// Profile is the kind of server: Cyrus, DAViCal, Radicale or SabreDAV (Nextcloud, Baïkal and others built on it).
	// +required
	Profile CalDAVProfile `json:"profile"`

	// PrincipalTemplate is the path of a user's principal: the segment {local} stands for the part of the address before
	// the @, {address} for the whole address. Absent means that the server is asked (calendar-user-address-set).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/(([A-Za-z0-9._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})+|[{](local|address)[}]))+/?$') && !self.matches('/[.][.]?(/|$)')",message="must be an absolute path without query, in which {local} or {address} is a segment of its own, such as /dav/principals/user/{local}/"
	// +kubebuilder:validation:XValidation:rule="self.contains('{') && !self.matches('[{]local[}].*[{]local[}]|[{]address[}].*[{]address[}]')",message="must hold {local} or {address}, each once at most"
	PrincipalTemplate string `json:"principalTemplate,omitempty"`

	// CredentialsRef names a Secret with username and password (kubernetes.io/basic-auth), or with a bearer token under the
	// key token. Absent means that the server asks for none.
	// +optional
	CredentialsRef *SecretRef `json:"credentialsRef,omitempty"`

	// FreeBusyPrincipal is the path of the principal through whose scheduling Outbox free/busy is asked. Absent means not
	// that way.
	// +optional
	FreeBusyPrincipal CalDAVPath `json:"freeBusyPrincipal,omitempty"`

	// BypassACL lets the credentials answer free/busy by reading calendars: where they see more than the asking user would, so
	// does the answer. Without it and without a freeBusyPrincipal free/busy is refused.
	// +optional
	BypassACL bool `json:"bypassACL,omitempty"`
}

// IMIP is a calendar system that only reads mail.
type IMIP struct {
	// Server that takes mail for the calendar system. Absent means the gateway's smarthost.
	// +optional
	Server *MailServer `json:"server,omitempty"`
}
