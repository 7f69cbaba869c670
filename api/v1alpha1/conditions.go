package v1alpha1

// ConditionReady is the condition that all four kinds have.
const ConditionReady = "Ready"

// Reasons of conditions and of findings: stable words for what is wrong with an object.
const (
	ReasonConflict     = "Conflict"     // another object already has what this one claims
	ReasonRefNotFound  = "RefNotFound"  // a reference names an object, or a key in it, that does not exist
	ReasonInvalidValue = "InvalidValue" // a value, here or in the object referred to, cannot be used
	ReasonShadowed     = "Shadowed"     // another policy always decides first
	ReasonUnused       = "Unused"       // nothing refers to the object, or it applies to nothing
	ReasonNoKey        = "NoKey"        // no usable signing key: messages are received, none is sent
	ReasonExpired      = "Expired"      // a certificate is not valid at this time
	ReasonWeak         = "Weak"         // works, but is weaker than it should be
	ReasonNoEffect     = "NoEffect"     // the gateway's capabilities already exclude it
	ReasonEgressDenied = "EgressDenied" // the address lies outside what spec.egress of the gateway allows
)
