package mail_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// TestWhatBecomesOfAMail: who says a message to whom decides, and never From; whatever is not delivered as iTIP reaches the
// smarthost byte for byte.
//
// Proves: IS-SUB-2
func TestWhatBecomesOfAMail(t *testing.T) {
	invitation := event("REQUEST", "anna@example.org", "anna@example.org", "bob@peer.example", "cleo@far.example")
	foreign := event("REQUEST", "bob@peer.example", "anna@example.org", "cleo@far.example")
	for name, tc := range map[string]struct {
		username, from string
		to             []string
		mail           string
		asked          []string // of sender and receiver
		byMail         []string // recipients at the smarthost
	}{
		"ordinary mail": {"one", "anna@example.org", []string{"bob@peer.example"}, plainMail, nil, []string{"bob@peer.example"}},
		"an invitation goes by iSchedule": {"one", "anna@example.org", []string{"bob@peer.example", "cleo@far.example"}, imipMail("anna@example.org", invitation),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example, mailto:cleo@far.example"}, nil},
		"the Originator is the ORGANIZER, not From": {"one", "noreply@example.org", []string{"bob@peer.example"}, imipMail("noreply@cloud.example", invitation),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example"}, nil},
		"the Originator of an answer is the ATTENDEE": {"one", "anna@example.org", []string{"bob@peer.example"},
			imipMail("anna@example.org", event("REPLY", "bob@peer.example", "anna@example.org")),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example"}, nil},
		"a recipient who is no party gets the mail": {"one", "anna@example.org", []string{"bob@peer.example", "list@peer.example"}, imipMail("anna@example.org", invitation),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example"}, []string{"list@peer.example"}},
		"a recipient that no calendar can name gets the mail": {"one", "anna@example.org", []string{"a/b@peer.example", "bob@peer.example"}, imipMail("anna@example.org", invitation),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example"}, []string{"a/b@peer.example"}},
		"percent signs of a mailbox are its own": {"one", "anna@example.org", []string{"bob%40x@peer.example"},
			imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob%2540x@peer.example")),
			[]string{"outbound mailto:anna@example.org → mailto:bob%40x@peer.example"}, nil},
		"a broken calendar is mail": {"one", "anna@example.org", []string{"bob@peer.example"},
			imipMail("anna@example.org", strings.Replace(invitation, "UID:1@test\r\n", "", 1)), nil, []string{"bob@peer.example"}},
		"a free/busy question is mail": {"one", "anna@example.org", []string{"bob@peer.example"},
			imipMail("anna@example.org", strings.NewReplacer("VEVENT", "VFREEBUSY", "SEQUENCE:0\r\n", "", "SUMMARY:Plans\r\n", "").Replace(invitation)),
			nil, []string{"bob@peer.example"}},
		"an Originator of somebody else, for nobody of ours, is mail": {"one", "anna@example.org", []string{"cleo@far.example"},
			imipMail("anna@example.org", foreign), nil, []string{"cleo@far.example"}},
		"an Originator of a domain these credentials are not for": {"one", "anna@example.org", []string{"bob@peer.example"},
			imipMail("anna@example.org", event("REQUEST", "bert@branch.example", "bob@peer.example")), nil, []string{"bob@peer.example"}},
		"one that they are for": {"both", "bert@branch.example", []string{"bob@peer.example"},
			imipMail("bert@branch.example", event("REQUEST", "bert@branch.example", "bob@peer.example")),
			[]string{"outbound mailto:bert@branch.example → mailto:bob@peer.example"}, nil},
		"a proven stranger reaches the calendar": {"one", "bob@peer.example", []string{"anna@example.org"},
			imipMail("bob@peer.example", foreign, passedMX, authenticated("peer.example")),
			[]string{"inbound mailto:bob@peer.example → mailto:anna@example.org"}, nil},
		"an unproven one reaches the person": {"one", "bob@peer.example", []string{"anna@example.org"},
			imipMail("bob@peer.example", foreign, passedMX), nil, []string{"anna@example.org"}},
		"a proof of another domain is none": {"one", "bob@peer.example", []string{"anna@example.org"},
			imipMail("bob@peer.example", foreign, passedMX, authenticated("other.example")), nil, []string{"anna@example.org"}},
		"a stranger who says to be one of ours is not one": {"both", "anna@example.org", []string{"bert@branch.example"},
			imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bert@branch.example"), passedMX), nil, []string{"bert@branch.example"}},
		"one of ours, straight from the calendar, is": {"both", "anna@example.org", []string{"bert@branch.example"},
			imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bert@branch.example")),
			[]string{"outbound mailto:anna@example.org → mailto:bert@branch.example"}, nil},
		"one of ours whose mail passed the MX is": {"both", "anna@example.org", []string{"bert@branch.example"},
			imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bert@branch.example"), passedMX, authenticated("example.org")),
			[]string{"outbound mailto:anna@example.org → mailto:bert@branch.example"}, nil},
		"one of ours whose mail passed a server on its way out is": {"one", "anna@example.org", []string{"bob@peer.example"},
			imipMail("anna@example.org", invitation, "Received: by exchange.example.org; Sun, 01 Nov 2026 10:00:00 +0000"),
			[]string{"outbound mailto:anna@example.org → mailto:bob@peer.example"}, nil},
		"a stranger who says to be one of ours, forwarded": {"one", "", []string{"bob@peer.example"}, imipMail("anna@example.org", invitation, passedMX), nil, []string{"bob@peer.example"}},
		"the null sender": {"one", "", []string{"bob@peer.example"}, plainMail, nil, []string{"bob@peer.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if err := r.send(tc.username, tc.from, tc.to, tc.mail); err != nil {
				t.Fatalf("%v\n%s", err, r.log)
			}
			if diff := cmp.Diff(tc.asked, r.asks()); diff != "" {
				t.Errorf("asked (-want +got):\n%s\n%s", diff, r.log)
			}
			var to []string
			for _, m := range r.relay.sent() {
				to = append(to, m.To...)
				if m.mail != tc.mail {
					t.Errorf("not the same octets: %q", m.mail)
				}
				if m.From != tc.from {
					t.Errorf("envelope sender %q", m.From)
				}
			}
			if diff := cmp.Diff(tc.byMail, to); diff != "" {
				t.Errorf("at the smarthost (-want +got):\n%s\n%s", diff, r.log)
			}
			for _, address := range tc.to {
				if strings.Contains(r.log.String(), address) {
					t.Errorf("an address in the log: %s", r.log)
				}
			}
		})
	}
}

// TestOutcomesOfRecipients: by its request-status a recipient is done, goes to the smarthost, or is reported to the sender.
//
// Proves: IS-CAP-6, IS-SEND-7, IS-SUB-2, IS-SUB-3
func TestOutcomesOfRecipients(t *testing.T) {
	const done, byMail, report = "done", "mail", "report"
	for status, want := range map[string]string{
		"2.0": done, "1.0": done, "1.1": done, // an echo is answered 2.0
		"5.1": byMail, "5.2": byMail, "3.14": byMail,
		"3.7": report, "3.8": report, "5.3": report, "3.0": report, "9.9": report,
	} {
		t.Run(status, func(t *testing.T) {
			r := newRig(t)
			r.statuses["bob"] = ischedule.RequestStatus{Code: status}
			text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example", "cleo@far.example"))
			check(t, r.send("one", "anna@example.org", []string{"bob@peer.example", "cleo@far.example"}, text))
			got := done
			for _, m := range r.relay.sent() {
				switch {
				case m.mail == text && slices.Equal(m.To, []string{"bob@peer.example"}) && m.From == "anna@example.org":
					got = byMail
				case m.From == "" && slices.Equal(m.To, []string{"anna@example.org"}) && strings.Contains(m.mail, "multipart/report") &&
					strings.Contains(m.mail, "bob@peer.example") && !strings.Contains(m.mail, "cleo@far.example"):
					got = report
				default:
					t.Errorf("handed on: %+v", m)
				}
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestNotificationsAreAskedFor: who asked for none gets none; what the null sender sends goes on by mail.
//
// Proves: IS-SUB-2
func TestNotificationsAreAskedFor(t *testing.T) {
	text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example"))
	for name, tc := range map[string]struct {
		from   string
		notify string
		want   int
	}{
		"nothing said": {"anna@example.org", "", 1}, "FAILURE": {"anna@example.org", " NOTIFY=DELAY,FAILURE", 1},
		"NEVER": {"anna@example.org", " NOTIFY=NEVER", 0}, "SUCCESS": {"anna@example.org", " NOTIFY=SUCCESS", 0}, "null sender": {"", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.statuses["bob"] = ischedule.StatusUnknownUser
			w := r.raw()
			w.login()
			w.say("MAIL FROM:<"+tc.from+"> RET=HDRS ENVID=QQ+2B314159", 250)
			w.say("RCPT TO:<bob@peer.example> ORCPT=rfc822;bob+2Bx@peer.example"+tc.notify, 250)
			w.data(text, 250)
			if got := r.relay.sent(); len(got) != tc.want {
				t.Errorf("%d mails: %+v", len(got), got)
			} else if tc.want == 1 && tc.from != "" && (got[0].From != "" || !strings.Contains(got[0].mail, "QQ+314159")) {
				t.Errorf("no notification with an envelope id: %s", got[0].mail)
			} else if tc.from == "" && (got[0].mail != text || got[0].To[0] != "bob@peer.example") {
				t.Errorf("not the mail: %+v", got[0])
			}
		})
	}
}

// TestParametersAreHandedOn: what RFC 3461, 6152 and 6531 say of a mail, the smarthost hears.
//
// Proves: IS-SUB-2
func TestParametersAreHandedOn(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.login()
	w.say("MAIL FROM:<anna@example.org> SMTPUTF8 BODY=8BITMIME RET=FULL ENVID=e1", 250)
	w.say("RCPT TO:<bj\u00f6rn@peer.example> NOTIFY=SUCCESS,DELAY", 250)
	w.say("RCPT TO:<cleo@far.example> ORCPT=rfc822;cleo+2Blist@far.example", 250)
	w.data(plainMail, 250)
	got := r.relay.sent()
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	want := smarthost.Envelope{From: "anna@example.org", To: []string{"bj\u00f6rn@peer.example", "cleo@far.example"}, UTF8: true, ID: "e1", Return: "FULL",
		Notify:   map[string][]string{"bj\u00f6rn@peer.example": {"SUCCESS", "DELAY"}},
		Original: map[string]string{"cleo@far.example": "rfc822;cleo+list@far.example"}}
	if diff := cmp.Diff(want, got[0].Envelope); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
}

// TestARefusedMessageIsStillMail: what the sender refuses as a whole the people get to read.
//
// Proves: IS-SUB-2
func TestARefusedMessageIsStillMail(t *testing.T) {
	for name, mailOf := range map[string]string{
		"outbound": imipMail("anna@example.org", event("REQUEST", "anna@example.org", "anna@example.org", "bob@peer.example")),
		"inbound":  imipMail("bob@peer.example", event("REQUEST", "bob@peer.example", "anna@example.org"), passedMX, authenticated("peer.example")),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.refusal = ischedule.NewError(ischedule.InvalidSchedulingMessage, "itip-strict", "no")
			from, to := "anna@example.org", "bob@peer.example"
			if name == "inbound" {
				from, to = to, from
			}
			check(t, r.send("one", from, []string{to}, mailOf))
			if got := r.relay.sent(); len(got) != 1 || got[0].mail != mailOf || len(r.asks()) != 1 {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(r.log.String(), "itip-strict") {
				t.Errorf("the log does not say why: %s", r.log)
			}
		})
	}
}

// TestSmarthostDecides: temporary failures are the client's to try again, permanent ones are passed on.
//
// Proves: IS-SUB-2
func TestSmarthostDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		code int
		text string
	}{
		"temporary":      {&smarthost.Error{Temporary: true, Code: 450, Text: "greylisted"}, 451, "greylisted"},
		"no connection":  {&smarthost.Error{Temporary: true, Text: "connection refused"}, 451, "connection refused"},
		"closing":        {&smarthost.Error{Temporary: true, Code: 421, Text: "closing", Recipient: "bob@peer.example"}, 451, "closing"},
		"permanent":      {&smarthost.Error{Code: 552, Text: "too\r\nlarge"}, 552, "too  large"},
		"without a code": {&smarthost.Error{Text: "no TLS"}, 554, "no TLS"},
		"the only one":   {&smarthost.Error{Code: 550, Text: "unknown", Recipient: "bob@peer.example"}, 550, "unknown"},
		"something else": {errors.New("odd"), 451, "odd"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.relay.say(tc.err)
			err := r.send("one", "anna@example.org", []string{"bob@peer.example"}, plainMail)
			if code(err) != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestWithoutASmarthostNothingIsTaken: a 250 would be a promise that cannot be kept.
//
// Proves: IS-SUB-2
func TestWithoutASmarthostNothingIsTaken(t *testing.T) {
	r := newRig(t)
	r.apply(func(c *mail.Config) { c.Relay = nil })
	err := r.send("one", "anna@example.org", []string{"bob@peer.example"}, imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example")))
	if code(err) != 451 || !strings.Contains(err.Error(), "spec.submission.smarthost") || len(r.asks()) != 0 {
		t.Errorf("%v, asked %v", err, r.asks())
	}
}

// TestLoopsEnd: a mail that went through too many servers is refused.
//
// Proves: IS-SUB-2
func TestLoopsEnd(t *testing.T) {
	r := newRig(t)
	for n, want := range map[int]int{50: 250, 51: 554} {
		err := r.send("one", "anna@example.org", []string{"bob@peer.example"}, strings.Repeat("received: x\r\n", n)+plainMail)
		if code(err) != want {
			t.Errorf("%d hops: %v, want %d", n, err, want)
		}
	}
}

// TestOnlyOwnMailAndMailToOwnDomains: a submitter's password is no open relay.
//
// Proves: IS-SUB-2
func TestOnlyOwnMailAndMailToOwnDomains(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		username, from, to string
		want               int
	}{
		{"one", "anna@example.org", "bob@peer.example", 250},
		{"one", "anna@EXAMPLE.org", "bob@peer.example", 250},
		{"one", "bob@peer.example", "anna@example.org", 250},
		{"one", "", "bob@peer.example", 250},
		{"one", "bob@peer.example", "cleo@far.example", 550},
		{"one", "bob@sub.example.org", "cleo@far.example", 550},
		{"one", "bert@branch.example", "cleo@far.example", 550},
		{"both", "bert@branch.example", "cleo@far.example", 250},
		{"one", "bob@[192.0.2.1]", "cleo@[192.0.2.2]", 550},
	} {
		c := r.client(tc.username)
		check(t, c.Mail(tc.from, nil))
		if err := c.Rcpt(tc.to, nil); code(err) != tc.want {
			t.Errorf("%s: %s to %s: %v, want %d", tc.username, tc.from, tc.to, err, tc.want)
		}
		_ = c.Close()
	}
}
