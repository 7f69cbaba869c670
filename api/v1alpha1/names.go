package v1alpha1

// DomainName is a domain name in lower-case A-label form, without a trailing dot. One spelling only, so that two
// objects which claim the same domain can be seen to.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",message="must be a domain name in lower case, without a trailing dot; write an international name in its xn-- form"
type DomainName string

// DomainPattern is a domain name ("sender.example"), every name below a suffix ("*.sender.example"), or every name
// there is ("*").
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([*]|([*][.])?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])*[a-z]([a-z0-9-]{0,61}[a-z0-9])?)$')",message="must be a domain name in lower case (sender.example), a suffix (*.sender.example) or *; write an international name in its xn-- form"
type DomainPattern string

// Rate is a number of things per second, minute or hour: "20/s", "600/m", "100/h".
//
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^[1-9][0-9]{0,5}/[smh]$')",message="must be a number up to 999999 per second, minute or hour: 20/s, 600/m, 100/h"
type Rate string

// CIDR is a range of IP addresses: "10.0.0.0/8", "fd00::/8".
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be an address range such as 10.0.0.0/8 or fd00::/8"
type CIDR string

// KeyLookupMethod is a way to find a public key, a value of the q= tag of a DKIM signature.
//
// +kubebuilder:validation:Enum=dns/txt;http/well-known;private-exchange
type KeyLookupMethod string

// The look-up methods (draft-desruisseaux-ischedule-05, section 7.3).
const (
	LookupDNS       KeyLookupMethod = "dns/txt"
	LookupWellKnown KeyLookupMethod = "http/well-known"
	LookupPrivate   KeyLookupMethod = "private-exchange"
)

// Component is a kind of iCalendar component that travels in scheduling messages.
//
// +kubebuilder:validation:Enum=VEVENT;VTODO;VFREEBUSY
type Component string

// The components.
const (
	ComponentEvent    Component = "VEVENT"
	ComponentTodo     Component = "VTODO"
	ComponentFreeBusy Component = "VFREEBUSY"
)

// Method is an iTIP method (RFC 5546). PUBLISH is not among them: a gateway refuses it.
//
// +kubebuilder:validation:Enum=REQUEST;REPLY;ADD;CANCEL;REFRESH;COUNTER;DECLINECOUNTER
type Method string

// The methods.
const (
	MethodRequest        Method = "REQUEST"
	MethodReply          Method = "REPLY"
	MethodAdd            Method = "ADD"
	MethodCancel         Method = "CANCEL"
	MethodRefresh        Method = "REFRESH"
	MethodCounter        Method = "COUNTER"
	MethodDeclineCounter Method = "DECLINECOUNTER"
)

// Messages is one kind of component with the methods it may come with.
//
// +kubebuilder:validation:XValidation:rule="self.component != 'VFREEBUSY' || !has(self.methods) || self.methods.all(m, m == 'REQUEST')",message="VFREEBUSY comes with the method REQUEST only: the answer travels in the response"
type Messages struct {
	// Component is VEVENT, VTODO or VFREEBUSY.
	// +required
	Component Component `json:"component"`

	// Methods are the iTIP methods; absent means all that exist for the component.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Methods []Method `json:"methods,omitempty"`
}
