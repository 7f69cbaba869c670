package ischedule

import "time"

// Capabilities is a capabilities document (D05 §5, §9.2). A zero limit means "no limit".
type Capabilities struct {
	Serial           uint64
	Versions         []string
	Messages         []Component // a component with no methods takes any
	DataTypes        []DataType
	Attachments      Attachments
	RScales          []string // upper-case; RFC 7529
	MaxContentLength int64    // octets
	MinDateTime      time.Time
	MaxDateTime      time.Time
	MaxInstances     int
	MaxRecipients    int
	Administrator    string // a URI
}

// Component is one component kind and the iTIP methods accepted with it, upper-case.
type Component struct {
	Name    string
	Methods []string
}

// DataType is a media type of calendar data.
type DataType struct{ ContentType, Version string }

// Attachments says which ATTACH values are accepted.
type Attachments struct{ Inline, External bool }

// Allows says whether the document takes method for component.
func (c *Capabilities) Allows(component, method string) bool { panic("CONTRACT STUB") }

// Marshal writes the document in the draft-05 schema, every element present (IS-CAP-4).
func (c *Capabilities) Marshal() []byte { panic("CONTRACT STUB") }

// ReadCapabilities parses a document of any peer: draft-05 and draft-00/01 element names, unknown and
// empty elements, the serial in a version element or absent; at most MaxCapabilitiesBytes, no DTD,
// bounded depth. IS-CAP-8.
func ReadCapabilities(body []byte) (*Capabilities, error) { panic("CONTRACT STUB") }

// MaxCapabilitiesBytes bounds a capabilities document that we read (IS-CAP-8).
const MaxCapabilitiesBytes = 256 << 10
