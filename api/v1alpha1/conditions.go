package v1alpha1

// ConditionReady is the condition that all four kinds have.
const ConditionReady = "Ready"

// Conditions that say what the controller is at; tools that wait (kstatus, Argo CD, Flux) read them. Both are absent when
// they do not hold.
const (
	ConditionReconciling = "Reconciling" // True while something is under way
	ConditionStalled     = "Stalled"     // True when only an edit of the spec helps
)

// Conditions that several kinds have.
const (
	ConditionAccepted   = "Accepted"   // the spec can be used as it is
	ConditionProgrammed = "Programmed" // every gateway pod serves what was compiled of the spec
)

// Conditions of a FederationGateway.
const (
	ConditionAvailable    = "Available"    // enough pods answer
	ConditionReplayShared = "ReplayShared" // False: replay memory is per pod. It does not touch Ready
)

// Conditions of a FederatedDomain. Discoverable and BackendReachable do not touch Ready: they depend on strangers.
const (
	ConditionOwnershipProven  = "OwnershipProven"
	ConditionKeyReady         = "KeyReady"
	ConditionPublished        = "Published"
	ConditionDiscoverable     = "Discoverable"
	ConditionBackendReachable = "BackendReachable"
)

// ConditionConflicted says that another PeerPolicy of the same rank contradicts this one or decides before it.
const ConditionConflicted = "Conflicted"

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
	ReasonEgressDenied = "EgressDenied" // the address lies outside what spec.egress or backendHosts of the gateway allows
)

// Reasons of conditions that the operator alone gives.
const (
	ReasonReady             = "Ready"             // all is well
	ReasonAccepted          = "Accepted"          // the spec can be used
	ReasonNotAllowed        = "NotAllowed"        // allowedDomains of the gateway does not let the domain attach
	ReasonProofMissing      = "ProofMissing"      // the TXT record that proves ownership was not seen
	ReasonProven            = "Proven"            // the TXT record was seen
	ReasonNotRequired       = "NotRequired"       // no proof is asked for; nothing is published by us
	ReasonPending           = "Pending"           // not looked at yet
	ReasonProgramming       = "Programming"       // pods are taking it over
	ReasonProgrammed        = "Programmed"        // every pod serves it
	ReasonNoPods            = "NoPods"            // no gateway pod answers yet
	ReasonPaused            = "Paused"            // no gateway pod is wanted: spec.replicas is 0
	ReasonRejected          = "Rejected"          // a pod refused what was compiled; the last good configuration serves
	ReasonTooLarge          = "TooLarge"          // what was compiled does not fit a Secret
	ReasonRemovalHeld       = "RemovalHeld"       // so many domains would go that the operator waits for an annotation
	ReasonCompileFailed     = "CompileFailed"     // the gateway itself cannot be compiled; the last good configuration serves
	ReasonPublished         = "Published"         // the records are as expected on the authoritative servers
	ReasonNotPublished      = "NotPublished"      // no publisher is set, and the records are not there: set them by hand
	ReasonPublishFailed     = "PublishFailed"     // the DNS server refused, or could not be reached
	ReasonDrifted           = "Drifted"           // the records were changed by somebody else; they are being repaired
	ReasonPropagating       = "Propagating"       // written, and not yet seen on every authoritative server
	ReasonDiscoverable      = "Discoverable"      // seen from outside as it should be
	ReasonNotDiscoverable   = "NotDiscoverable"   // something on the way from outside is wrong
	ReasonReachable         = "Reachable"         // the back end answers the gateway pods
	ReasonUnreachable       = "Unreachable"       // it does not
	ReasonAvailable         = "Available"         // enough pods answer
	ReasonUnavailable       = "Unavailable"       // too few do
	ReasonPerPod            = "PerPod"            // replay memory is per pod
	ReasonSelectorReused    = "SelectorReused"    // an imported key changed under its selector
	ReasonRevoked           = "Revoked"           // the key was revoked and there is no other
	ReasonAwaitingApproval  = "AwaitingApproval"  // activation Manual: annotate to go on
	ReasonAwaitingRecord    = "AwaitingRecord"    // the record is not on every authoritative server yet
	ReasonAwaitingPods      = "AwaitingPods"      // a pod may still sign with a key that retires
	ReasonKeyActive         = "KeyActive"         // a key signs
	ReasonTerminating       = "Terminating"       // being deleted
	ReasonKindNotFound      = "KindNotFound"      // the spec needs a kind that the cluster does not have
	ReasonRefused           = "Refused"           // the cluster does not let the operator make an object that the spec needs
	ReasonPublisherNotFound = "PublisherNotFound" // the CustomResourceDefinition of DNSEndpoint is not there
)

// Annotations that ask for something once; what was done is echoed in status. Values are free text; a new value asks anew.
const (
	AnnotationRotate         = "calfed.dev/rotate-requested-at"        // DKIMKey: make the next key now
	AnnotationActivate       = "calfed.dev/activate-selector"          // DKIMKey, activation Manual: the selector that may sign
	AnnotationProbe          = "calfed.dev/probe-requested-at"         // FederatedDomain: look from outside now
	AnnotationResetBackoff   = "calfed.dev/reset-backoff-requested-at" // FederationGateway, FederatedDomain, DKIMKey: try again now what failed
	AnnotationConfirmRemoval = "calfed.dev/confirm-removal"            // FederationGateway: the domains to be left out may go; the value is the one the condition names
)
