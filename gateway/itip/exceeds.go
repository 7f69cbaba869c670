package itip

import (
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Excess is what a message holds that a receiver's capabilities do not take.
type Excess struct {
	Name   ischedule.ErrorName // what the receiver answers
	Reason string              // stable code
	Detail string              // for people; of the calendar data only the name of an RSCALE
}

// Exceeds holds the message against a capabilities document, nil when it fits. An absent limit is none. The size of the
// message, versions and media types are not looked at. IS-CAP-4, IS-CAP-6, IS-ITIP-3.
func (m *Message) Exceeds(c *ischedule.Capabilities) *Excess {
	limit := func(name ischedule.ErrorName, detail string) *Excess { return &Excess{name, string(name), detail} }
	switch {
	case !c.Allows(m.Component, m.Method):
		return &Excess{ischedule.InvalidSchedulingMessage, "message-not-supported", m.Method + " of " + m.Component + " is not taken"}
	case m.InlineAttachment && !c.Attachments.Inline:
		return limit(ischedule.AttachmentTypeNotSupported, "inline attachments are not taken")
	case m.ExternalAttachment && !c.Attachments.External:
		return limit(ischedule.AttachmentTypeNotSupported, "external attachments are not taken")
	case !c.MinDateTime.IsZero() && !m.Earliest.IsZero() && m.Earliest.Before(c.MinDateTime):
		return limit(ischedule.MinDateTime, "a date is before min-date-time")
	case !c.MaxDateTime.IsZero() && m.Latest.After(c.MaxDateTime):
		return limit(ischedule.MaxDateTime, "a date is after max-date-time")
	case c.MaxInstances > 0 && (m.Endless || m.Count > c.MaxInstances):
		return limit(ischedule.MaxInstances, "there are more instances than max-instances")
	}
	for _, scale := range m.RScales {
		if !slices.Contains(c.RScales, scale) {
			return &Excess{ischedule.InvalidSchedulingMessage, "rscale-not-supported", named(scale) + " is not taken"}
		}
	}
	return nil
}

// named tells the name of a calendar system, when it looks like one.
func named(scale string) string {
	if len(scale) > 32 || strings.Trim(scale, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return "an RSCALE"
	}
	return "RSCALE=" + scale
}
