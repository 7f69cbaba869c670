package ischedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxCapabilitiesBytes bounds a capabilities document that we read (IS-CAP-8).
const MaxCapabilitiesBytes = 256 << 10

// ReadCapabilities parses a document of any peer: draft-05 and draft-00/01 element names, unknown and
// empty elements, the serial in a version element or absent; at most MaxCapabilitiesBytes, no DTD,
// bounded depth. What a document leaves out is no limit. Errors wrap ErrDocument. IS-CAP-8.
func ReadCapabilities(body []byte) (*Capabilities, error) {
	root, err := parseXML(body, MaxCapabilitiesBytes)
	if err != nil {
		return nil, err
	}
	set := root
	if root.is("query-result") {
		if inner := root.child("capabilities", "capability-set"); inner != nil {
			set = inner
		}
	} else if !root.is("capabilities", "capability-set") {
		return nil, fmt.Errorf("%w: the root element is not query-result", ErrDocument)
	}
	r := capabilitiesReader{c: &Capabilities{Attachments: Attachments{Inline: true, External: true}}}
	for _, e := range set.children {
		if e.ours() {
			r.read(e)
		}
	}
	r.finish()
	return r.c, nil
}

type capabilitiesReader struct {
	c     *Capabilities
	stray string // text of a version element that stands by itself
}

// read takes in one capability. The second name of each pair is that of draft-00 and -01.
func (r *capabilitiesReader) read(e *element) {
	c := r.c
	switch e.name {
	case "serial-number":
		c.Serial = serial(e.word())
	case "version":
		r.stray = e.word()
	case "versions", "supported-version-set":
		for _, v := range e.children {
			if v.is("version") {
				c.Versions = append(c.Versions, normalVersion(v.word()))
			}
		}
	case "scheduling-messages", "supported-scheduling-message-set":
		if c.Messages == nil {
			c.Messages = []Component{}
		}
		for _, m := range e.children {
			if m.is("component", "comp") {
				r.component(m)
			}
		}
	case "calendar-data-types", "supported-calendar-data-type", "supported-calendar-data":
		for _, t := range e.children {
			if t.is("calendar-data-type", "calendar-data") { // Bedework's name is the second
				c.DataTypes = append(c.DataTypes, dataType(t))
			}
		}
	case "attachments", "supported-attachment-values":
		c.Attachments = Attachments{
			Inline:   e.child("inline", "inline-attachment") != nil,
			External: e.child("external", "external-attachment") != nil,
		}
	case "rscales":
		for _, s := range e.children {
			if name := strings.ToUpper(s.word()); s.is("rscale") && name != "" && isICalName(name) {
				c.RScales = append(c.RScales, name)
			}
		}
	case "max-content-length":
		c.MaxContentLength = number(e, 64)
	case "min-date-time":
		c.MinDateTime = date(e)
	case "max-date-time":
		c.MaxDateTime = date(e)
	case "max-instances":
		c.MaxInstances = int(number(e, 32))
	case "max-recipients":
		c.MaxRecipients = int(number(e, 32))
	case "administrator":
		c.Administrator = e.line(maxDescription)
	}
}

// component adds a component; Bedework names one twice.
func (r *capabilitiesReader) component(e *element) {
	name := strings.ToUpper(e.attr("name"))
	if name == "" || !isICalName(name) {
		return
	}
	var methods []string
	for _, m := range e.children {
		if method := strings.ToUpper(m.attr("name")); m.is("method") && method != "" && isICalName(method) {
			methods = append(methods, method)
		}
	}
	i := slices.IndexFunc(r.c.Messages, func(m Component) bool { return m.Name == name })
	switch {
	case i < 0 && len(r.c.Messages) < maxListed:
		r.c.Messages = append(r.c.Messages, Component{name, unique(methods)})
	case i < 0: // nobody schedules with that many kinds
	case len(methods) == 0 || len(r.c.Messages[i].Methods) == 0:
		r.c.Messages[i].Methods = nil // any
	default:
		r.c.Messages[i].Methods = unique(append(r.c.Messages[i].Methods, methods...))
	}
}

// maxListed bounds component kinds, and methods of one, so that telling them apart stays cheap.
const maxListed = 64

func unique(methods []string) []string {
	var out []string
	for _, m := range methods {
		if len(out) < maxListed && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// finish decides what a version element by itself means: CalendarServer puts its serial there, before the real list of
// versions.
func (r *capabilitiesReader) finish() {
	if r.stray == "" {
		return
	}
	if len(r.c.Versions) == 0 {
		r.c.Versions = []string{normalVersion(r.stray)}
		return
	}
	if r.c.Serial == 0 {
		r.c.Serial = serial(r.stray)
	}
}

// normalVersion reads Bedework's "1" as the version it means.
func normalVersion(s string) string {
	if s == "1" {
		return Version
	}
	return OneLine(s, 32)
}

// dataType has the defaults of D05 §9.2's attribute list.
func dataType(e *element) DataType {
	t := DataType{ContentType: strings.ToLower(OneLine(e.attr("content-type"), 128)), Version: OneLine(e.attr("version"), 32)}
	if t.ContentType == "" {
		t.ContentType = "text/calendar"
	}
	if t.Version == "" {
		t.Version = "2.0"
	}
	return t
}

// serial is a serial number, 0 when s is none.
func serial(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// number is a positive number of at most bits bits, else 0: no limit.
func number(e *element, bits int) int64 {
	n, err := strconv.ParseInt(e.word(), 10, bits)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// date reads iCalendar's UTC form and what configuration files of peers hold in its place; else no limit.
func date(e *element) time.Time {
	for _, layout := range []string{dateTime, "20060102T150405", "20060102", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, e.word()); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
