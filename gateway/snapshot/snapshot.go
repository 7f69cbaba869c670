// Package snapshot holds the compiled configuration: everything a gateway needs to serve, with
// nothing left to look up. It is made by controllers/compile, travels as JSON (additive format, one
// version back and forth readable), is validated as a whole by Activate and swapped in atomically.
package snapshot

import (
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

// FormatVersion is the version of the encoding that Encode writes.
const FormatVersion = 1

// Snapshot is the whole truth of one gateway. Lists are sorted, so equal input encodes to equal bytes.
type Snapshot struct {
	Format   int      `json:"format"`
	Gateway  Gateway  `json:"gateway"`
	Domains  []Domain `json:"domains,omitempty"`
	Policies []Policy `json:"policies,omitempty"`
}

// Gateway is what all domains of the gateway share.
type Gateway struct {
	Name          string                 `json:"name"` // namespace/name of the resource
	Host          string                 `json:"host"`
	TLS           KeyPair                `json:"tls"`
	NoTickets     bool                   `json:"noSessionTickets,omitempty"`
	Capabilities  ischedule.Capabilities `json:"capabilities"` // effective, Serial included (IS-CAP-2)
	DefaultAction Action                 `json:"defaultAction"`
	Egress        Egress                 `json:"egress"`
	Limits        Limits                 `json:"limits"`
	Discovery     Discovery              `json:"discovery"`
	Submission    Submission             `json:"submission,omitzero"`
}

// Submission is how local systems may hand us mail, and where mail leaves.
type Submission struct {
	SMTP      *SMTPSubmission `json:"smtp,omitempty"`      // nil = no mail is taken
	Smarthost *SMTPServer     `json:"smarthost,omitempty"` // nil = no mail can leave
}

// SMTPSubmission are the bounds of the mail listener; all numbers set (compile fills in the defaults). IS-SUB-2.
type SMTPSubmission struct {
	MaxMessageBytes int64 `json:"maxMessageBytes"`
	MaxRecipients   int   `json:"maxRecipients"`
	// AuthservID is the name in those Authentication-Results fields (RFC 8601) that are believed, when they stand above
	// all others in mail from strangers that our own MX hands on; "" = none are, and DKIM and DMARC are checked here.
	AuthservID string `json:"authservID,omitempty"`
}

// SMTPTLS is how a connection to an SMTP server is protected.
type SMTPTLS string

// The ways to protect an SMTP connection.
const (
	SMTPStartTLS SMTPTLS = "StartTLS" // demanded, never opportunistic
	SMTPImplicit SMTPTLS = "Implicit"
	SMTPPlain    SMTPTLS = "None" // without credentials only
)

// SMTPServer is where mail is handed to.
type SMTPServer struct {
	Host     string  `json:"host"` // name or address
	Port     int     `json:"port"`
	TLS      SMTPTLS `json:"tls"`
	Username string  `json:"username,omitempty"` // "" = no AUTH
	Password string  `json:"password,omitempty"` // secret
}

// KeyPair is a PEM certificate chain and key.
type KeyPair struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// Action is what a policy does.
type Action string

// The actions.
const (
	Allow Action = "Allow"
	Deny  Action = "Deny"
)

// Egress says where outgoing connections may lead (IS-DISC-10).
type Egress struct {
	BackendCIDRs []netip.Prefix `json:"backendCIDRs,omitempty"` // configured targets, beside the global unicast ones
	PeerCIDRs    []netip.Prefix `json:"peerCIDRs,omitempty"`    // discovered ones, likewise
	Resolver     string         `json:"resolver,omitempty"`     // host:port; "" = the system's
	CABundle     []byte         `json:"caBundle,omitempty"`     // PEM, added to the system roots
}

// Limits are the gateway's budgets; all set (compile fills in the defaults).
type Limits struct {
	MaxConnections      int           `json:"maxConnections"`      // open at once on the public listener
	MaxConnsPerSource   int           `json:"maxConnsPerSource"`   // per /32 or /64
	RequestsPerSource   float64       `json:"requestsPerSource"`   // per second, per /32 or /64
	KeyLookupsPerSource float64       `json:"keyLookupsPerSource"` // per second, per source
	KeyLookupsPerDomain float64       `json:"keyLookupsPerDomain"` // per second, per d=
	KeyLookups          float64       `json:"keyLookups"`          // per second, whole gateway
	MaxHeaderBytes      int           `json:"maxHeaderBytes"`
	MaxInFlightBytes    int64         `json:"maxInFlightBytes"` // request bodies held in memory at once
	HeaderTimeout       time.Duration `json:"headerTimeout"`
	BodyTimeout         time.Duration `json:"bodyTimeout"`
	DeliveryTimeout     time.Duration `json:"deliveryTimeout"`
}

// Discovery are the optional steps of receiver discovery, both off by default.
type Discovery struct {
	ParentDomains bool `json:"parentDomains,omitempty"` // IS-DISC-5
	WellKnown     bool `json:"wellKnown,omitempty"`     // IS-DISC-7
}

// Domain is one calendar domain served here.
type Domain struct {
	Name    string  `json:"name"`   // A-label, lower-case
	Source  string  `json:"source"` // namespace/name of the resource
	Signing Signing `json:"signing"`
	Backend Backend `json:"backend"`
	// FreeBusyBackend answers VFREEBUSY in place of Backend; nil = Backend does.
	FreeBusyBackend *Backend `json:"freeBusyBackend,omitempty"`
	// Fallback is what happens to messages for domains without iSchedule (IS-SEND-7); "" = 5.2.
	Fallback   Fallback    `json:"fallback,omitempty"`
	Accepts    []Messages  `json:"accepts,omitempty"` // narrows the capabilities; empty = all
	Submitters []Submitter `json:"submitters,omitempty"`
	Policies   []string    `json:"policies,omitempty"` // IDs in Snapshot.Policies that cover this domain
}

// Fallback is a slower way for messages of the domain's users to domains without iSchedule.
type Fallback string

// FallbackIMIP sends mail through the smarthost (RFC 6047).
const FallbackIMIP Fallback = "IMIP"

// Messages is one component kind with its methods; no methods = all.
type Messages struct {
	Component string   `json:"component"`
	Methods   []string `json:"methods,omitempty"`
}

// Signing is how messages of the domain are signed.
type Signing struct {
	Keys     []Key         `json:"keys,omitempty"`
	Lookup   []string      `json:"lookup,omitempty"`   // q= of what we sign, in order
	Lifetime time.Duration `json:"lifetime,omitempty"` // x= - t= of what we sign, 0 = 300 s (IS-DKIM-7)
	Mail     bool          `json:"mail,omitempty"`     // the keys also sign the iMIP mail that we write (RFC 6376)
}

// KeyState says what a key is there for.
type KeyState string

// The states. All records are published, /.well-known/domainkey serves them all; active keys alone sign.
const (
	KeyActive  KeyState = ""
	KeyStandby KeyState = "Standby" // published before or after its time: without a private key
	KeyRevoked KeyState = "Revoked" // published with an empty p= (RFC 6376 §3.6.1)
)

// Key is a signing key that is active or published.
type Key struct {
	Source   string   `json:"source"` // namespace/name of the DKIMKey
	Domain   string   `json:"domain"`
	Selector string   `json:"selector"`
	State    KeyState `json:"state,omitempty"`
	Private  []byte   `json:"private,omitempty"` // PEM; of active keys
	Record   string   `json:"record"`            // what is published (dns/txt, http/well-known)
}

// Signs says whether messages are signed with the key.
func (k *Key) Signs() bool { return k.State == KeyActive }

// BackendType is the discriminator of Backend.
type BackendType string

// The back ends of this version.
const (
	BackendISchedule BackendType = "ISchedule"
	BackendCalDAV    BackendType = "CalDAV"
	BackendIMIP      BackendType = "IMIP"
	BackendMemory    BackendType = "Memory" // demo and tests; no resource can ask for it
)

// Backend is where messages for local users go.
type Backend struct {
	Type      BackendType `json:"type"`
	ISchedule *ISchedule  `json:"iSchedule,omitempty"`
	CalDAV    *CalDAV     `json:"calDAV,omitempty"`
	IMIP      *IMIP       `json:"iMIP,omitempty"`
}

// ISchedule is a calendar server's own iSchedule endpoint (IS-BACK-1).
type ISchedule struct {
	URL string `json:"url"`
}

// CalDAVProfile names the server whose ways a CalDAV back end follows (IS-BACK-1).
type CalDAVProfile string

// The profiles; interop tests hold each.
const (
	ProfileCyrus    CalDAVProfile = "Cyrus"
	ProfileDAViCal  CalDAVProfile = "DAViCal"
	ProfileRadicale CalDAVProfile = "Radicale"
	ProfileSabreDAV CalDAVProfile = "SabreDAV" // Nextcloud, Baïkal and others built on it
)

// CalDAV is a calendar server that messages are written into (RFC 4791, 6638). IS-BACK-2, 3, 5.
type CalDAV struct {
	URL     string        `json:"url"` // of the server, or of the folder its principals are found from
	Profile CalDAVProfile `json:"profile"`
	// PrincipalTemplate is the path of a user's principal (absolute, on the host of URL): {local} stands for the part before
	// the @, {address} for the whole mail address, each as one escaped path segment. "" = users are found by
	// calendar-user-address-set.
	PrincipalTemplate string `json:"principalTemplate,omitempty"`
	Username          string `json:"username,omitempty"` // Basic; "" with a Token, or where the server asks for nothing
	Password          string `json:"password,omitempty"` // secret
	Token             string `json:"token,omitempty"`    // Bearer; secret
	// FreeBusyPrincipal is the path of the principal through whose scheduling Outbox free/busy is asked; "" = not that way.
	FreeBusyPrincipal string `json:"freeBusyPrincipal,omitempty"`
	// BypassACL allows the credentials above, which see everything, to answer free/busy by reading calendars.
	BypassACL bool `json:"bypassACL,omitempty"`
}

// IMIP is a calendar system that only reads mail (RFC 6047).
type IMIP struct {
	Server *SMTPServer `json:"server,omitempty"` // nil = the smarthost
}

// Submitter is a local system that may hand us messages for the domain (IS-SUB-1). Exactly one of Token, Certificate, Basic
// and PinnedKey is set.
type Submitter struct {
	Name        string             `json:"name"`
	TokenSHA256 []byte             `json:"tokenSHA256,omitempty"` // the token itself never enters a snapshot
	Certificate *ClientCertificate `json:"certificate,omitempty"`
	Basic       *Basic             `json:"basic,omitempty"`
	PinnedKey   *PinnedKey         `json:"pinnedKey,omitempty"` // signs what it submits; Domain "" = the FederatedDomain's
}

// Basic is a user name with its password: of HTTP Basic authentication, and of SMTP AUTH.
type Basic struct {
	Username       string `json:"username"`
	PasswordSHA256 []byte `json:"passwordSHA256"` // the password itself never enters a snapshot
}

// ClientCertificate says which client certificates are the submitter's: signed by CA, carrying one of Names
// as DNS or URI SAN.
type ClientCertificate struct {
	CA    []byte   `json:"ca"` // PEM
	Names []string `json:"names"`
}

// Policy is one compiled PeerPolicy.
type Policy struct {
	ID       string    `json:"id"` // namespace/name
	Created  time.Time `json:"created,omitzero"`
	Peers    []string  `json:"peers"`             // "sender.example", "*.suffix", "*"
	Domains  []string  `json:"domains,omitempty"` // same forms; empty = every domain of the namespace
	Action   Action    `json:"action"`
	Inbound  Inbound   `json:"inbound"`
	Outbound Outbound  `json:"outbound"`
}

// Inbound are the settings for what the peers send us. Zero fields mean the default.
type Inbound struct {
	Messages                      []Messages    `json:"messages,omitempty"` // empty = all
	Rate                          float64       `json:"rate,omitempty"`     // requests per second per peer domain, 0 = no limit of its own
	MaxRecipients                 int           `json:"maxRecipients,omitempty"`
	MinRSABits                    int           `json:"minRSABits,omitempty"`
	KeyLookup                     []string      `json:"keyLookup,omitempty"` // methods allowed, IS-DKIM-9
	PinnedKeys                    []PinnedKey   `json:"pinnedKeys,omitempty"`
	SignatureTimeOptional         bool          `json:"signatureTimeOptional,omitempty"`
	MaxAge                        time.Duration `json:"maxAge,omitempty"`
	ContentTypeParametersOptional bool          `json:"contentTypeParametersOptional,omitempty"`
	Strict                        bool          `json:"strict,omitempty"`
	ThirdPartySigners             []string      `json:"thirdPartySigners,omitempty"`
	FreeBusy                      FreeBusy      `json:"freeBusy,omitempty"`         // "" = BusyOnly
	HideUnknownUsers              bool          `json:"hideUnknownUsers,omitempty"` // IS-RECV-9
}

// FreeBusy is how much of a user's busy time a peer sees (IS-BACK-6).
type FreeBusy string

// The free/busy levels.
const (
	FreeBusyFull     FreeBusy = "Full"
	FreeBusyBusyOnly FreeBusy = "BusyOnly"
	FreeBusyDeny     FreeBusy = "Deny"
)

// PinnedKey is a public key agreed on with the peer (IS-DKIM-9).
type PinnedKey struct {
	Domain   string `json:"domain,omitempty"` // d=, "" = any d= that aligns
	Selector string `json:"selector"`
	Record   string `json:"record"`
}

// Outbound are the settings for what we send to the peers.
type Outbound struct {
	Endpoint              string        `json:"endpoint,omitempty"`          // https URL, skips discovery
	CABundle              []byte        `json:"caBundle,omitempty"`          // PEM, in place of the roots
	CertificateSHA256     []string      `json:"certificateSHA256,omitempty"` // pins: hex of the leaf's SPKI (IS-DISC-9)
	ClientCertificate     *KeyPair      `json:"clientCertificate,omitempty"`
	Authorization         string        `json:"authorization,omitempty"`         // whole field value; secret
	RequireSecureIdentity string        `json:"requireSecureIdentity,omitempty"` // "", "DNSSEC", "SourceName"
	SignatureProfile      string        `json:"signatureProfile,omitempty"`      // "" = ischedule-relaxed, SignatureDAViCal
	Timeout               time.Duration `json:"timeout,omitempty"`               // 0 = 30 s
}

// SignatureDAViCal is the draft-01 signature that DAViCal alone still verifies.
const SignatureDAViCal = "DAViCal"
