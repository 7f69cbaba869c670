package receiver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	amy    = "mailto:amy@two.example"
	guest  = "mailto:guest@gw.example"
	guest2 = "mailto:guest2@gw.example"
)

// byMail is the outcome of a message that came by mail.
func (w *world) byMail(m *mail) string {
	w.t.Helper()
	return w.inProcess(m, w.receiver.Mail)
}

// inProcess is the outcome of handing a message over without HTTP.
func (w *world) inProcess(m *mail, hand func(context.Context, *ischedule.Request) (*ischedule.Response, *ischedule.Error)) string {
	w.t.Helper()
	req, bad, err := ischedule.ReadRequest(m.header, []byte(m.body), 0)
	if err != nil || len(bad) > 0 {
		w.t.Fatal(err, bad)
	}
	resp, refused := hand(w.t.Context(), req)
	if refused != nil {
		if refused.Name == "" {
			return refused.Reason
		}
		return string(refused.Name)
	}
	out := ""
	for _, res := range resp.Results {
		out += " " + res.Recipient + " " + res.Status.Code
	}
	return strings.TrimSpace(out)
}

// A message that came by mail passes everything but the signature, as any other of its Originator would.
//
// Proves: IS-SUB-2, IS-RECV-9
func TestMail(t *testing.T) {
	reply := func(originator string) *mail {
		body := strings.Replace(event("REPLY", "uid-1", originator), "ORGANIZER:mailto:boss@sender", "ORGANIZER:mailto:guest@gw", 1)
		return message(t, "1", "VEVENT", "REPLY", originator, []string{guest}, body)
	}
	for _, tt := range []struct {
		name string
		edit func(*world)
		mail *mail
		want string
	}{
		{"delivered", nil, invitation(t, "1", guest, amy), guest + " 2.0 " + amy + " 2.0"},
		{"a recipient elsewhere", nil, invitation(t, "1", guest, "mailto:eve@foreign.example"), guest + " 2.0 mailto:eve@foreign.example 3.7"},
		{"a peer that no policy knows", nil, reply("mailto:ann@unknown.example"), "originator-denied"},
		{"a peer that is denied", nil, reply("mailto:ann@denied.example"), "originator-denied"},
		{"a domain that takes less", nil, message(t, "1", "VEVENT", "CANCEL", "mailto:boss@sender.example", []string{"mailto:a@narrow.example"},
			event("CANCEL", "1", "mailto:a@narrow.example")), "mailto:a@narrow.example 3.14"},
		{"not iCalendar", nil, withBody(invitation(t, "1"), "BEGIN:VEVENT", "nonsense"), "invalid-calendar-data"},
		{"too large", func(w *world) { w.snap.Gateway.Capabilities.MaxContentLength = 100 }, invitation(t, "1"), "max-content-length"},
		{"too many recipients", func(w *world) { w.snap.Gateway.Capabilities.MaxRecipients = 1 }, invitation(t, "1", guest, amy), "max-recipients"},
		{"too many instances", nil, withBody(invitation(t, "1"), "SEQUENCE:1", "SEQUENCE:1\nRRULE:FREQ=DAILY;COUNT=51"), "max-instances"},
		{"not a party", nil, message(t, "1", "VEVENT", "REQUEST", "mailto:eve@sender.example", []string{guest}, event("REQUEST", "1", guest)),
			"invalid-scheduling-message"},
		{"free/busy", nil, question(t, "1", "20261125T000000Z", "20261126T000000Z", guest), "invalid-scheduling-message"},
		{"unknown users are hidden", senderPolicy(func(in *snapshot.Inbound) { in.HideUnknownUsers = true }),
			invitation(t, "1", "mailto:nobody@gw.example"), "mailto:nobody@gw.example 3.8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			if got := w.byMail(tt.mail); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			if len(w.dns.queries()) > 0 {
				t.Error("a key was looked up")
			}
		})
	}
}

// The budgets of a policy count mail as well.
//
// Proves: IS-SUB-2
func TestMailRate(t *testing.T) {
	w := newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.Rate = 1 }))
	if got := w.byMail(invitation(t, "1")); got != guest+" 2.0" {
		t.Fatal(got)
	}
	if got := w.byMail(invitation(t, "2")); got != "policy-rate" {
		t.Error(got)
	}
}

// A mail that comes again is answered as before, and delivered once to each recipient; what differs in anything is another one.
//
// Proves: IS-RECV-10
func TestMailReplay(t *testing.T) {
	for _, tt := range []struct {
		name       string
		again      *mail
		after      time.Duration
		want       string
		deliveries int
	}{
		{"the same mail", invitation(t, "1", guest, guest2), 0, guest + " 2.0 " + guest2 + " 2.0", 1},
		{"a part of its recipients", withRecipients(invitation(t, "1", guest, guest2), guest2), 0, guest2 + " 2.0", 1},
		{"as long as it can come", invitation(t, "1", guest, guest2), 30 * 24 * time.Hour, guest + " 2.0 " + guest2 + " 2.0", 1},
		{"another Message-ID", withBody(invitation(t, "2", guest, guest2), "uid-2", "uid-1"), 0, guest + " 2.0 " + guest2 + " 2.0", 2},
		{"another body", withBody(invitation(t, "1", guest, guest2), "Secret", "Public"), 0, guest + " 2.0 " + guest2 + " 2.0", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.gw.answer = talkative
			if got := w.byMail(invitation(t, "1", guest, guest2)); got != guest+" 2.0 "+guest2+" 2.0" {
				t.Fatalf("first: %s (%s)", got, w.reason())
			}
			w.now = w.now.Add(tt.after)
			if got := w.byMail(tt.again); got != tt.want {
				t.Errorf("again: %s (%s), want %s", got, w.reason(), tt.want)
			}
			if got := len(w.gw.deliveries()); got != tt.deliveries {
				t.Errorf("%d deliveries, want %d", got, tt.deliveries)
			}
			if want := tt.deliveries == 1; want != (w.reason() == "replay") {
				t.Errorf("reason %s", w.reason())
			}
		})
	}
}

func withRecipients(m *mail, recipients ...string) *mail {
	return m.set("Recipient", recipients...)
}

// Mail is tried again as it is: who could not be reached is tried, who has it is not.
//
// Proves: IS-RECV-10
func TestMailTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	w.two.answer = func(context.Context, *backend.Delivery) ([]backend.Result, error) { return nil, backend.ErrUnavailable }
	if got := w.byMail(invitation(t, "1", guest, amy)); got != guest+" 2.0 "+amy+" 5.1" {
		t.Fatalf("first: %s", got)
	}
	if got := w.byMail(invitation(t, "1", guest, amy)); got != "backend-unavailable" {
		t.Errorf("again, while nobody else is left: %s", got)
	}
	w.two.answer = always(ischedule.StatusDelivered)
	if got := w.byMail(invitation(t, "1", guest, amy)); got != guest+" 2.0 "+amy+" 2.0" {
		t.Errorf("at last: %s", got)
	}
	if a, b := len(w.gw.deliveries()), len(w.two.deliveries()); a != 1 || b != 3 {
		t.Errorf("%d and %d deliveries", a, b)
	}
}

// While a mail is being delivered it is not delivered beside that; a memory that cannot be asked delivers nothing.
//
// Proves: IS-RECV-10
func TestMailInProgress(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	during := ""
	w.two.answer = func(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
		during = w.byMail(invitation(t, "1", guest, amy))
		return always(ischedule.StatusDelivered)(ctx, d)
	}
	if got := w.byMail(withRecipients(invitation(t, "1", guest, amy), amy)); got != amy+" 2.0" {
		t.Errorf("the first: %s", got)
	}
	if during != "replay-in-progress" || len(w.gw.deliveries()) != 0 {
		t.Errorf("during the delivery: %s, %d deliveries", during, len(w.gw.deliveries()))
	}
	if got := w.byMail(invitation(t, "1", guest, amy)); got != guest+" 2.0 "+amy+" 2.0" || len(w.two.deliveries()) != 1 {
		t.Errorf("after it: %s", got)
	}

	memory := &recording{ReplayMemory: receiver.NewReplayMemory(receiver.ReplayOptions{Now: w.clock}), err: receiver.ErrReplayFull}
	w.shared = &receiver.Shared{Replay: memory}
	w.compile()
	before := len(w.gw.deliveries())
	if got := w.byMail(invitation(t, "2", guest)); got != "replay-unavailable" || len(w.gw.deliveries()) != before {
		t.Errorf("%s, %d deliveries", got, len(w.gw.deliveries())-before)
	}
}

// A mail and an iSchedule message are never taken for each other.
//
// Proves: IS-RECV-10
func TestMailIsNoRequest(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	w.send(invitation(t, "1"))
	w.byMail(invitation(t, "1"))
	got := w.gw.deliveries()
	if len(got) != 2 {
		t.Fatalf("%d deliveries", len(got))
	}
	if got[0].SignedBy != "sender.example" || got[1].SignedBy != "" {
		t.Errorf("signed by %q and %q", got[0].SignedBy, got[1].SignedBy)
	}
}
