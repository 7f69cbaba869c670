package mail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
)

// TestRecipientsThatTheSmarthostDoesNotTakeNow keep the mail from nobody else, and wait for the client to come again.
//
// Proves: IS-SUB-2
func TestRecipientsThatTheSmarthostDoesNotTakeNow(t *testing.T) {
	const bob, cleo, dora = "bob@peer.example", "cleo@far.example", "dora@far.example"
	full := func(who string) error {
		return &smarthost.Error{Temporary: true, Code: 452, Text: "not now: " + who, Recipient: who}
	}
	unknown := func(who string) error { return &smarthost.Error{Code: 550, Text: "unknown", Recipient: who} }
	for name, tc := range map[string]struct {
		says  []error
		want  int
		first []string // handed on, each transaction's recipients
		again []string
	}{
		"the first":               {[]error{full(bob)}, 451, []string{cleo + " " + dora}, []string{bob}},
		"the last":                {[]error{full(dora), nil, full(dora)}, 451, []string{bob + " " + cleo}, []string{dora}},
		"too many at once":        {[]error{full(dora)}, 250, []string{bob + " " + cleo, dora}, nil},
		"every one":               {[]error{full(bob), full(cleo), full(dora)}, 451, nil, []string{bob + " " + cleo + " " + dora}},
		"one, and one for good":   {[]error{full(bob), unknown(cleo)}, 451, []string{dora}, []string{bob, "anna@example.org"}},
		"all, after one was":      {[]error{full(cleo), nil, &smarthost.Error{Temporary: true, Text: "gone"}}, 451, []string{bob}, []string{cleo + " " + dora}},
		"one of a smaller number": {[]error{full(dora), full(cleo), full(bob)}, 451, []string{cleo + " " + dora}, []string{bob}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			send := func() error { return r.send("one", "anna@example.org", []string{bob, cleo, dora}, plainMail) }
			r.relay.say(tc.says...)
			if err := send(); code(err) != tc.want {
				t.Fatal(err)
			}
			if got := taken(r); !slices.Equal(got, tc.first) {
				t.Errorf("first %q", got)
			}
			if tc.want == 250 {
				return
			}
			check(t, send())
			if got := taken(r)[len(tc.first):]; !slices.Equal(got, tc.again) {
				t.Errorf("again %q", got)
			}
		})
	}
	r := newRig(t, manyRecipients)
	var to []string
	for i := range 50 {
		to = append(to, fmt.Sprintf("u%d@peer.example", i))
		r.relay.says = append(r.relay.says, full(to[i]))
	}
	if err := r.send("one", "anna@example.org", to, plainMail); code(err) != 451 || len(r.relay.says) < 25 {
		t.Errorf("%v, %d attempts", err, 50-len(r.relay.says))
	}
}

// TestASmarthostThatCloses is asked no more, and the client comes again with everybody.
//
// Proves: IS-SUB-2
func TestASmarthostThatCloses(t *testing.T) {
	r := newRig(t)
	r.relay.say(&smarthost.Error{Temporary: true, Code: 421, Text: "closing", Recipient: "cleo@far.example"})
	send := func() error {
		return r.send("one", "anna@example.org", []string{"bob@peer.example", "cleo@far.example"}, plainMail)
	}
	if err := send(); code(err) != 451 || taken(r) != nil {
		t.Errorf("%v, taken %q", err, taken(r))
	}
	check(t, send())
	if got := taken(r); !slices.Equal(got, []string{"bob@peer.example cleo@far.example"}) {
		t.Errorf("again %q", got)
	}
}

// taken are the recipients of each transaction that the smarthost took.
func taken(r *rig) (out []string) {
	for _, m := range r.relay.sent() {
		out = append(out, strings.Join(m.To, " "))
	}
	return out
}

func manyRecipients(s *snapshot.Snapshot) { s.Gateway.Submission.SMTP.MaxRecipients = 100 }

// TestTheSmarthostsOwnCode reaches the client.
func TestTheSmarthostsOwnCode(t *testing.T) {
	for enhanced, want := range map[string]smtp.EnhancedCode{"5.7.26": {5, 7, 26}, "4.2.2": {5, 0, 0}, "": {5, 0, 0}} {
		r := newRig(t)
		r.relay.say(&smarthost.Error{Code: 550, Enhanced: enhanced, Text: "no"})
		err := r.send("one", "anna@example.org", []string{"bob@peer.example"}, plainMail)
		var said *smtp.SMTPError
		if !errors.As(err, &said) || said.EnhancedCode != want {
			t.Errorf("%s: %+v", enhanced, err)
		}
	}
}

// TestARecipientThatTheSmarthostRefuses does not keep the mail from the others, and is reported.
//
// Proves: IS-SUB-2
func TestARecipientThatTheSmarthostRefuses(t *testing.T) {
	r := newRig(t)
	r.relay.say(&smarthost.Error{Code: 550, Text: "no such user", Recipient: "bob@peer.example"})
	check(t, r.send("one", "anna@example.org", []string{"bob@peer.example", "cleo@far.example"}, plainMail))
	got := r.relay.sent()
	if len(got) != 2 || !slices.Equal(got[0].To, []string{"cleo@far.example"}) || got[0].mail != plainMail ||
		got[1].From != "" || !strings.Contains(got[1].mail, "no such user") {
		t.Errorf("%+v", got)
	}
}

// TestWhoGotNothingIsReported: an answer to the client is about everybody, so when somebody has the message already the others are
// reported, whatever their address and the sender's look like.
//
// Proves: IS-SUB-2
func TestWhoGotNothingIsReported(t *testing.T) {
	invited := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example"))
	for name, tc := range map[string]struct {
		from  string
		to    []string
		text  string
		says  error
		asked int
		told  []string
	}{
		"the mail is refused, one has it in the calendar": {"anna@example.org", []string{"bob@peer.example", "list@peer.example", "cleo@far.example"}, invited,
			&smarthost.Error{Code: 552, Enhanced: "5.3.4", Text: "too large for us"}, 1, []string{"rfc822; list@peer.example", "rfc822; cleo@far.example", "smtp; 552 5.3.4", "too large for us"}},
		"a recipient that no calendar can name": {"anna@example.org", []string{"a/b@peer.example", "cleo@far.example"}, plainMail,
			&smarthost.Error{Code: 550, Text: "no such user", Recipient: "a/b@peer.example"}, 0, []string{"rfc822; a/b@peer.example", "does not take the message"}},
		"a sender that no calendar can name": {"app/7?x@example.org", []string{"bob@peer.example", "cleo@far.example"}, plainMail,
			&smarthost.Error{Code: 550, Enhanced: "5.1.1", Text: "no such user", Recipient: "bob@peer.example"}, 0, []string{"To: <app/7?x@example.org>", "There is nobody with this address"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.relay.say(tc.says)
			check(t, r.send("one", tc.from, tc.to, tc.text))
			sent := r.relay.sent()
			report := sent[len(sent)-1]
			if report.From != "" || !slices.Equal(report.To, []string{tc.from}) || len(r.asks()) != tc.asked {
				t.Fatalf("%+v, asked %q", report, r.asks())
			}
			for _, words := range tc.told {
				if !strings.Contains(report.mail, words) {
					t.Errorf("no %q in\n%s", words, report.mail)
				}
			}
		})
	}
}

// TestWhoReadsMailGetsTheMail: a proven stranger's mail is not written anew for a calendar system that knows nothing else.
//
// Proves: IS-SUB-2, IS-BACK-1
func TestWhoReadsMailGetsTheMail(t *testing.T) {
	r := newRig(t, func(s *snapshot.Snapshot) {
		s.Domains[1].Backend = snapshot.Backend{Type: snapshot.BackendIMIP, IMIP: &snapshot.IMIP{Server: &snapshot.SMTPServer{Host: "mail.example.org", Port: 25, TLS: snapshot.SMTPStartTLS}}}
	})
	text := imipMail("bob@peer.example", event("REQUEST", "bob@peer.example", "anna@example.org", "bert@branch.example"), passedMX, authenticated("peer.example"))
	check(t, r.send("both", "bob@peer.example", []string{"anna@example.org", "bert@branch.example"}, text))
	if got := taken(r); !slices.Equal(got, []string{"anna@example.org"}) || r.relay.sent()[0].mail != text {
		t.Errorf("handed on to %q", got)
	}
	if got := r.asks(); !slices.Equal(got, []string{"inbound mailto:bob@peer.example → mailto:bert@branch.example"}) {
		t.Errorf("%q", got)
	}
}
