// Package ischedule is the wire format of draft-desruisseaux-ischedule-05 (D05): header fields,
// capabilities documents, schedule responses, error documents and request statuses. Readers are
// tolerant of what other implementations really send, writers are strict. It does no I/O beyond
// writing to a given http.ResponseWriter, signs nothing and decides nothing about who may send.
package ischedule

// Version is the only protocol version there is (D05 §8.2).
const Version = "1.0"

// Namespace is the XML namespace of every element (D05 §9).
const Namespace = "urn:ietf:params:xml:ns:ischedule"

// WellKnownPath is where an iSchedule Receiver answers without further discovery (D05 §4.4).
const WellKnownPath = "/.well-known/ischedule"

// Header field names, in the spelling that net/http keeps (D05 §8).
const (
	HeaderVersion       = "Ischedule-Version"
	HeaderCapabilities  = "Ischedule-Capabilities"
	HeaderMessageID     = "Ischedule-Message-Id"
	HeaderOriginator    = "Originator"
	HeaderRecipient     = "Recipient"
	HeaderDKIMSignature = "Dkim-Signature"
)
