package sender_test

import (
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
)

// TestExcludedByCapabilities: a message that the receiver's capabilities exclude is not sent, and the recipient learns
// why. One document a limit; the same message to a receiver without that limit leaves.
//
// Proves: IS-CAP-6, IS-ITIP-3
func TestExcludedByCapabilities(t *testing.T) {
	const bob = "mailto:bob@peer.example"
	plain := invitation([]string{bob})
	event := func(more ...string) string { return invitation([]string{bob}, more...) }
	tests := []struct {
		name   string
		body   string
		change func(*ischedule.Capabilities)
		status string
		reason string
	}{
		{"another protocol version", plain, func(c *ischedule.Capabilities) { c.Versions = []string{"2.0"} }, "5.3", "version-not-supported"},
		{"no text/calendar", plain, func(c *ischedule.Capabilities) {
			c.DataTypes = []ischedule.DataType{{ContentType: "application/calendar+json"}}
		}, "3.14", "invalid-calendar-data-type"},
		{"a component it does not list", plain, func(c *ischedule.Capabilities) { c.Messages = []ischedule.Component{{Name: "VFREEBUSY"}} }, "3.14", "invalid-scheduling-message"},
		{"a method it does not list", plain, func(c *ischedule.Capabilities) {
			c.Messages = []ischedule.Component{{Name: "VEVENT", Methods: []string{"CANCEL"}}}
		}, "3.14", "invalid-scheduling-message"},
		{"max-content-length", plain, func(c *ischedule.Capabilities) { c.MaxContentLength = 100 }, "3.14", "max-content-length"},
		{"inline attachments", event("ATTACH;ENCODING=BASE64;VALUE=BINARY:aGVsbG8="), func(c *ischedule.Capabilities) { c.Attachments.Inline = false }, "3.14", "attachment-type-not-supported"},
		{"external attachments", event("ATTACH:https://example.org/plan.pdf"), func(c *ischedule.Capabilities) { c.Attachments.External = false }, "3.14", "attachment-type-not-supported"},
		{"min-date-time", plain, func(c *ischedule.Capabilities) { c.MinDateTime = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }, "3.14", "min-date-time"},
		{"max-date-time", plain, func(c *ischedule.Capabilities) { c.MaxDateTime = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }, "3.14", "max-date-time"},
		{"max-instances", event("RRULE:FREQ=DAILY;COUNT=6"), func(c *ischedule.Capabilities) { c.MaxInstances = 5 }, "3.14", "max-instances"},
		{"an rscale it does not list", event("RRULE:RSCALE=HEBREW;FREQ=YEARLY;COUNT=2"), func(c *ischedule.Capabilities) { c.RScales = nil }, "3.14", "RSCALE=HEBREW"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{
				"peer.example": receiver("cal.peer.example", test.change), "free.example": {URL: "https://free.example/", Key: "free.example"},
			}}
			s, a := newSender(t, f)
			body := strings.Replace(test.body, "ATTENDEE:"+bob, "ATTENDEE:"+bob+"\r\nATTENDEE:mailto:eve@free.example", 1)
			to := []string{bob, "mailto:eve@free.example"}
			response, err := s.Send(t.Context(), submission(t, a, body, to...))
			if err != nil {
				t.Fatal(err)
			}
			got := response.Results[0]
			if got.Status.Code != test.status || !strings.Contains(got.Description, test.reason) {
				t.Errorf("%s (%s), want %s with %q", got.Status, got.Description, test.status, test.reason)
			}
			for _, p := range f.posts {
				if p.url != "https://free.example/" {
					t.Errorf("sent to %s", p.url)
				}
			}
			if response.Results[1].Status.Code != "2.0" {
				t.Errorf("the receiver without limits got nothing: %+v", response.Results[1])
			}
		})
	}
}

// TestTakenByCapabilities: what a document does not say is no limit, and Bedework's version 1 is ours.
//
// Proves: IS-CAP-6, IS-CAP-8
func TestTakenByCapabilities(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		change func(*ischedule.Capabilities)
	}{
		{"Bedework's version", invitation([]string{"mailto:bob@peer.example"}), func(c *ischedule.Capabilities) { c.Versions = []string{"1"} }},
		{"no versions, no types", invitation([]string{"mailto:bob@peer.example"}), func(c *ischedule.Capabilities) { c.Versions, c.DataTypes = nil, nil }},
		{"a type without a version", invitation([]string{"mailto:bob@peer.example"}), func(c *ischedule.Capabilities) { c.DataTypes = []ischedule.DataType{{ContentType: "Text/Calendar"}} }},
		{"no numeric limits", invitation([]string{"mailto:bob@peer.example"}, "RRULE:FREQ=DAILY;COUNT=500"), func(c *ischedule.Capabilities) {
			c.MaxContentLength, c.MaxInstances, c.MaxRecipients, c.MinDateTime, c.MaxDateTime = 0, 0, 0, time.Time{}, time.Time{}
		}},
		{"exactly the limits", invitation([]string{"mailto:bob@peer.example"}, "RRULE:FREQ=DAILY;COUNT=5"), func(c *ischedule.Capabilities) { c.MaxInstances = 5 }},
		{"an open-ended daily rule", invitation([]string{"mailto:bob@peer.example"}, "RRULE:FREQ=DAILY"), func(c *ischedule.Capabilities) { c.MaxInstances = 5 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example", test.change)}}
			s, a := newSender(t, f)
			response, err := s.Send(t.Context(), submission(t, a, test.body, "mailto:bob@peer.example"))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.posts) != 1 {
				t.Errorf("not sent: %+v", response.Results[0])
			}
		})
	}
}
