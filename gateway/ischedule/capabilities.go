package ischedule

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Capabilities is a capabilities document (D05 §5, §9.2). A zero limit means "no limit".
type Capabilities struct {
	Serial           uint64      `json:"serial"`
	Versions         []string    `json:"versions"`
	Messages         []Component `json:"messages"` // a component with no methods takes any; nil: the document does not say
	DataTypes        []DataType  `json:"dataTypes"`
	Attachments      Attachments `json:"attachments"`
	RScales          []string    `json:"rscales"`                    // upper-case; RFC 7529
	MaxContentLength int64       `json:"maxContentLength,omitempty"` // octets
	MinDateTime      time.Time   `json:"minDateTime,omitzero"`
	MaxDateTime      time.Time   `json:"maxDateTime,omitzero"`
	MaxInstances     int         `json:"maxInstances,omitempty"`
	MaxRecipients    int         `json:"maxRecipients,omitempty"`
	Administrator    string      `json:"administrator,omitempty"` // a URI
}

// Component is one component kind and the iTIP methods accepted with it, upper-case.
type Component struct {
	Name    string   `json:"name"`
	Methods []string `json:"methods,omitempty"`
}

// DataType is a media type of calendar data.
type DataType struct {
	ContentType string `json:"contentType"`
	Version     string `json:"version,omitempty"`
}

// Attachments says which ATTACH values are accepted.
type Attachments struct {
	Inline   bool `json:"inline,omitempty"`
	External bool `json:"external,omitempty"`
}

// Allows says whether the document takes method for component. A document that says nothing of
// scheduling messages takes all (IS-CAP-8).
func (c *Capabilities) Allows(component, method string) bool {
	if c.Messages == nil {
		return true
	}
	for _, m := range c.Messages {
		if strings.EqualFold(m.Name, component) {
			return len(m.Methods) == 0 ||
				slices.ContainsFunc(m.Methods, func(s string) bool { return strings.EqualFold(s, method) })
		}
	}
	return false
}

// dateTime is the UTC form of RFC 5545 §3.3.5.
const dateTime = "20060102T150405Z"

// Marshal writes the document in the draft-05 schema, every element present (IS-CAP-4); one without a
// limit is empty.
func (c *Capabilities) Marshal() []byte {
	x := newXMLWriter()
	x.open("query-result", "xmlns", Namespace)
	x.open("capabilities")
	x.text("serial-number", strconv.FormatUint(c.Serial, 10))
	x.open("versions")
	for _, v := range c.Versions {
		x.text("version", v)
	}
	x.close("versions")
	x.open("scheduling-messages")
	c.writeMessages(x, "component")
	x.close("scheduling-messages")
	x.open("calendar-data-types")
	c.writeDataTypes(x)
	x.close("calendar-data-types")
	x.open("attachments")
	if c.Attachments.Inline {
		x.empty("inline")
	}
	if c.Attachments.External {
		x.empty("external")
	}
	x.close("attachments")
	x.open("rscales")
	for _, s := range c.RScales {
		x.text("rscale", s)
	}
	x.close("rscales")
	x.text("max-content-length", limit(c.MaxContentLength))
	x.text("min-date-time", instant(c.MinDateTime))
	x.text("max-date-time", instant(c.MaxDateTime))
	x.text("max-instances", limit(int64(c.MaxInstances)))
	x.text("max-recipients", limit(int64(c.MaxRecipients)))
	x.text("administrator", c.Administrator)
	x.close("capabilities")
	x.close("query-result")
	return x.bytes()
}

// writeMessages writes each component kind as an element of that name.
func (c *Capabilities) writeMessages(x *xmlWriter, element string) {
	for _, m := range c.Messages {
		if len(m.Methods) == 0 {
			x.empty(element, "name", m.Name)
			continue
		}
		x.open(element, "name", m.Name)
		for _, method := range m.Methods {
			x.empty("method", "name", method)
		}
		x.close(element)
	}
}

func (c *Capabilities) writeDataTypes(x *xmlWriter) {
	for _, t := range c.DataTypes {
		attrs := []string{"content-type", t.ContentType}
		if t.Version != "" {
			attrs = append(attrs, "version", t.Version)
		}
		x.empty("calendar-data-type", attrs...)
	}
}

func limit(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(dateTime)
}
