package sender_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
)

// TestSubmissionRefused: what may not leave is refused before anything is looked up, signed or sent.
//
// Proves: IS-SEND-4, IS-CAP-4
func TestSubmissionRefused(t *testing.T) {
	const bob, eve = "mailto:bob@peer.example", "mailto:eve@peer.example"
	plain := invitation([]string{bob})
	tests := []struct {
		name   string
		body   string
		to     []string
		change func(*sender.Submission)
		want   ischedule.ErrorName
		reason string
	}{
		{name: "no recipient", body: plain, want: ischedule.RecipientMissing},
		{name: "an Originator of another domain", body: plain, to: []string{bob}, want: ischedule.OriginatorDenied,
			change: func(s *sender.Submission) { s.Request.Originator = cua.MustParse("mailto:alice@branch.example") }},
		{name: "an Originator below the domain", body: plain, to: []string{bob}, want: ischedule.OriginatorDenied,
			change: func(s *sender.Submission) { s.Request.Originator = cua.MustParse("mailto:alice@sub.example.org") }},
		{name: "an Originator above the domain", body: plain, to: []string{bob}, want: ischedule.OriginatorDenied,
			change: func(s *sender.Submission) { s.Request.Originator = cua.MustParse("mailto:alice@org") }},
		{name: "a submitter of no domain", body: plain, to: []string{bob}, want: ischedule.OriginatorDenied,
			change: func(s *sender.Submission) { s.Domain = nil }},
		{name: "an Originator who is not the ORGANIZER of a REQUEST", body: plain, to: []string{bob}, want: ischedule.InvalidSchedulingMessage, reason: "originator-not-party",
			change: func(s *sender.Submission) { s.Request.Originator = cua.MustParse("mailto:mallory@example.org") }},
		{name: "an Originator who only acts for the ORGANIZER (SENT-BY)", to: []string{bob}, want: ischedule.InvalidSchedulingMessage, reason: "originator-not-party",
			body:   strings.Replace(plain, "ORGANIZER:", `ORGANIZER;SENT-BY="mailto:mallory@example.org":`, 1),
			change: func(s *sender.Submission) { s.Request.Originator = cua.MustParse("mailto:mallory@example.org") }},
		{name: "an Originator who is no ATTENDEE of a REPLY", to: []string{bob}, want: ischedule.InvalidSchedulingMessage, reason: "originator-not-party",
			body: strings.NewReplacer("METHOD:REQUEST", "METHOD:REPLY", "mailto:alice@example.org", bob, "ATTENDEE:"+bob, "ATTENDEE:mailto:carol@example.org").Replace(plain)},
		{name: "a Recipient who is no ATTENDEE", body: plain, to: []string{bob, eve}, want: ischedule.InvalidSchedulingMessage, reason: "recipient-not-party"},
		{name: "a Recipient of a VFREEBUSY who is no ATTENDEE", body: question(bob), to: []string{bob, eve}, want: ischedule.RecipientMismatch},
		{name: "no iCalendar", body: "hello\r\n", to: []string{bob}, want: ischedule.InvalidCalendarData},
		{name: "an empty body", body: "", to: []string{bob}, want: ischedule.InvalidCalendarData},
		{name: "iCalendar without METHOD", body: strings.Replace(plain, "METHOD:REQUEST\r\n", "", 1), to: []string{bob}, want: ischedule.InvalidSchedulingMessage},
		{name: "a body larger than max-content-length", body: strings.Replace(plain, "Plan", strings.Repeat("Plan", 300_000), 1), to: []string{bob}, want: ischedule.MaxContentLength},
		{name: "a method that differs from Content-Type", body: plain, to: []string{bob}, want: ischedule.InvalidSchedulingMessage, reason: "content-type-mismatch",
			change: func(s *sender.Submission) { s.Request.Method = "CANCEL" }},
		{name: "a component that differs from Content-Type", body: plain, to: []string{bob}, want: ischedule.InvalidSchedulingMessage, reason: "content-type-mismatch",
			change: func(s *sender.Submission) { s.Request.Component = "VTODO" }},
		{name: "a message that our own capabilities do not list", body: strings.ReplaceAll(plain, "REQUEST", "PUBLISH"), to: []string{bob}, want: ischedule.InvalidSchedulingMessage},
		{name: "an hourly rule without end", body: invitation([]string{bob}, "RRULE:FREQ=HOURLY"), to: []string{bob}, want: ischedule.MaxInstances},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			s, a := newSender(t, f)
			sub := submission(t, a, test.body, test.to...)
			if test.change != nil {
				test.change(sub)
			}
			response, err := s.Send(t.Context(), sub)
			if err == nil {
				t.Fatalf("sent, and answered %v", response)
			}
			if err.Name != test.want || (test.reason != "" && err.Reason != test.reason) {
				t.Errorf("refused with %s (%s), want %s (%s)", err.Name, err.Reason, test.want, test.reason)
			}
			if err.Status < 400 || err.Description == "" || err.Reason == "" {
				t.Errorf("the refusal lacks status, reason or description: %+v", err)
			}
			if len(f.found)+len(f.posts) > 0 {
				t.Errorf("looked up %v and posted %d requests before refusing", f.found, len(f.posts))
			}
		})
	}
}

// TestSubmissionAccepted: the Originator by method, and what a submitter may leave out.
//
// Proves: IS-SEND-4
func TestSubmissionAccepted(t *testing.T) {
	const bob, eve = "mailto:bob@peer.example", "mailto:eve@peer.example"
	reply := strings.NewReplacer("METHOD:REQUEST", "METHOD:REPLY", "ORGANIZER:mailto:alice@example.org", "ORGANIZER:"+bob,
		"ATTENDEE:"+bob, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org").Replace(invitation([]string{bob}))
	tests := []struct {
		name string
		body string
		to   []string
	}{
		{"the ORGANIZER sends a REQUEST to some of the ATTENDEEs", invitation([]string{bob, eve}), []string{bob}},
		{"an ATTENDEE sends a REPLY to the ORGANIZER", reply, []string{bob}},
		{"a VFREEBUSY about fewer users than it lists", question(bob, eve, "mailto:carol@example.org"), []string{bob}},
		{"addresses in another case and without a scheme", invitation([]string{"MAILTO:bob@Peer.Example"}), []string{"bob@PEER.example"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			s, a := newSender(t, f)
			response, err := s.Send(t.Context(), submission(t, a, test.body, test.to...))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.posts) != 1 || len(response.Results) != 1 {
				t.Fatalf("%d posts, response %v", len(f.posts), response)
			}
		})
	}
}

// TestNotesStayHere: what one attendee proposed, and when who answered, was noted for the organizer; the next message of the calendar
// server does not tell the others.
//
// Proves: IS-BACK-4
func TestNotesStayHere(t *testing.T) {
	const bob = "mailto:bob@peer.example"
	want := invitation([]string{bob}, "COMMENT:Bring cake")
	noted := strings.NewReplacer("COMMENT:Bring cake", "COMMENT;X-CALFED-NOTE=\"20261101T000000Z  mailto:eve@peer.example\":Eve proposes noon: the doctor\r\nCOMMENT:Bring cake",
		":"+bob, ";X-CALFED-REPLY=20261101T000000Z:"+bob).Replace(want)
	f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
	s, a := newSender(t, f)
	if _, err := s.Send(t.Context(), submission(t, a, noted, bob)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(f.posts[0].body)); diff != "" {
		t.Error(diff)
	}
}

// TestBodyIsNormalised: CRLF line ends, exactly one at the end; everything else as it came.
//
// Proves: IS-SEND-2, IS-ITIP-4
func TestBodyIsNormalised(t *testing.T) {
	want := invitation([]string{"mailto:bob@peer.example"}, "X-UNKNOWN;X-P=\"a,b\":kept  as is\\,", "DESCRIPTION:folded", "  here")
	tests := []struct{ name, body string }{
		{"proper", want},
		{"LF line ends", strings.ReplaceAll(want, "\r\n", "\n")},
		{"mixed line ends", strings.Replace(want, "\r\n", "\n", 3)},
		{"no line end at the end", strings.TrimSuffix(want, "\r\n")},
		{"blank lines at the end", want + "\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			s, a := newSender(t, f)
			if _, err := s.Send(t.Context(), submission(t, a, test.body, "mailto:bob@peer.example")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(f.posts[0].body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}
