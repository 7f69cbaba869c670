package mail_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/smarthost"
)

// TestARetryDeliversTheRestOnly: after a 451 the client comes again with everything; who has the message does not get it twice.
//
// Proves: IS-SUB-2
func TestARetryDeliversTheRestOnly(t *testing.T) {
	r := newRig(t)
	r.statuses["cleo"] = ischedule.StatusNoService
	r.statuses["dora"] = ischedule.StatusUnknownUser
	text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example", "cleo@far.example", "dora@peer.example"))
	to := []string{"bob@peer.example", "cleo@far.example", "dora@peer.example"}
	busy := &smarthost.Error{Temporary: true, Code: 450, Text: "busy"}
	for i, tc := range []struct {
		says   []error
		want   int
		asked  string
		mails  int
		change func()
	}{
		{says: []error{busy}, want: 451, asked: "outbound mailto:anna@example.org → mailto:bob@peer.example, mailto:cleo@far.example, mailto:dora@peer.example"},
		{says: []error{nil, busy}, want: 451, asked: "outbound mailto:anna@example.org → mailto:cleo@far.example", mails: 1,
			change: func() { r.apply() }}, // a new configuration forgets nothing
		{want: 250, mails: 2}, // the notification
		{want: 250, mails: 4, asked: "outbound mailto:anna@example.org → mailto:bob@peer.example, mailto:cleo@far.example, mailto:dora@peer.example"}, // a mail of its own
	} {
		if tc.change != nil {
			tc.change()
		}
		r.relay.say(tc.says...)
		before := len(r.asks())
		if err := r.send("one", "anna@example.org", to, text); code(err) != tc.want {
			t.Fatalf("attempt %d: %v\n%s", i, err, r.log)
		}
		if diff := cmp.Diff(tc.asked, strings.Join(r.asks()[before:], "; ")); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", i, diff)
		}
		if got := len(r.relay.sent()); got != tc.mails {
			t.Errorf("attempt %d: %d mails handed on, want %d", i, got, tc.mails)
		}
	}
}

// TestAnotherMailIsNotARetry: other credentials', sender's, recipients' or content's.
//
// Proves: IS-SUB-2
func TestAnotherMailIsNotARetry(t *testing.T) {
	text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example", "cleo@far.example"))
	to := []string{"bob@peer.example", "list@peer.example"}
	for name, again := range map[string]func(r *rig) error{
		"content":    func(r *rig) error { return r.send("one", "anna@example.org", to, text+"x\r\n") },
		"recipients": func(r *rig) error { return r.send("one", "anna@example.org", append(to, "cleo@far.example"), text) },
		"sender":     func(r *rig) error { return r.send("one", "other@example.org", to, text) },
		"domains":    func(r *rig) error { return r.send("both", "anna@example.org", to, text) },
		"much later": func(r *rig) error {
			r.set(func() { r.now = r.now.Add(7 * time.Hour) })
			return r.send("one", "anna@example.org", to, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.relay.say(&smarthost.Error{Temporary: true})
			if err := r.send("one", "anna@example.org", to, text); code(err) != 451 {
				t.Fatal(err)
			}
			check(t, again(r))
			if got := r.asks(); len(got) != 2 || !strings.Contains(got[1], "bob@peer.example") {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestTheSameMailTwiceAtOnce: the second client waits its turn.
//
// Proves: IS-SUB-2
func TestTheSameMailTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	entered, leave := r.hold()
	text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example"))
	w := r.raw()
	w.login()
	w.mail()
	w.say("DATA", 354)
	w.write(text + ".\r\n")
	<-entered
	if err := r.send("one", "anna@example.org", []string{"bob@peer.example"}, text); code(err) != 451 {
		t.Errorf("%v", err)
	}
	leave()
	w.expect(250)
}

// TestStrangersMailWaitsForTheCalendar: while DNS or the calendar server does not answer the MX keeps the mail, for an hour; then the
// person reads it.
//
// Proves: IS-SUB-2
func TestStrangersMailWaitsForTheCalendar(t *testing.T) {
	for name, tc := range map[string]struct {
		fail, mend func(r *rig)
		fields     []string
		text       string
	}{
		"no DNS": {func(r *rig) { r.dnsErr = errors.New("no answer") }, func(r *rig) { r.dnsErr = nil },
			[]string{"Authentication-Results: mx.example.org; dkim=pass header.d=mail.peer.example"}, "4.4.3"},
		"no calendar": {func(r *rig) { r.statuses["anna"] = ischedule.StatusUnavailable }, func(r *rig) { delete(r.statuses, "anna") },
			[]string{authenticated("peer.example")}, "4.4.1"},
		"no replay memory": {func(r *rig) { r.refusal = ischedule.NewError("", "replay-unavailable", "later") }, func(r *rig) { r.refusal = nil },
			[]string{authenticated("peer.example")}, "4.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			text := imipMail("bob@peer.example", event("REQUEST", "bob@peer.example", "anna@example.org"), tc.fields...)
			send := func() error { return r.send("one", "bob@peer.example", []string{"anna@example.org"}, text) }
			r.set(func() { tc.fail(r) })
			if err := send(); code(err) != 451 || !strings.Contains(fmt.Sprintf("%v %+v", err, err), "later") {
				t.Fatalf("%v\n%s", err, r.log)
			}
			r.set(func() { tc.mend(r) })
			check(t, send())
			if got := r.relay.sent(); len(got) != 0 {
				t.Errorf("mended: %+v\n%s", got, r.log)
			}

			r.set(func() { tc.fail(r) })
			for _, at := range []time.Duration{0, 59 * time.Minute} {
				r.set(func() { r.now = r.now.Add(at) })
				if err := send(); code(err) != 451 {
					t.Fatalf("%s: %v", at, err)
				}
			}
			r.set(func() { r.now = r.now.Add(2 * time.Minute) })
			check(t, send())
			if got := r.relay.sent(); len(got) != 1 || got[0].mail != text {
				t.Errorf("after an hour: %+v", got)
			}
		})
	}
}
