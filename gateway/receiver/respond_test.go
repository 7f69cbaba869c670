package receiver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// refresh asks guest@gw.example, the organizer, for the event anew.
func refresh(t testing.TB, id string) *mail {
	t.Helper()
	body := strings.Replace(event("REFRESH", "uid-1", "ann@sender.example"), "ORGANIZER:mailto:boss@sender", "ORGANIZER:mailto:guest@gw", 1)
	return message(t, id, "VEVENT", "REFRESH", "mailto:ann@sender.example", []string{guest}, body)
}

// owes answers that the calendar owes the Originator a message.
func owes(status ischedule.RequestStatus) func(context.Context, *backend.Delivery) ([]backend.Result, error) {
	return func(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
		return []backend.Result{{Recipient: d.Recipients[0], Status: status, Respond: []byte("the event")}}, nil
	}
}

// What a calendar owes the Originator leaves before the Originator has our answer; without it the answer is 5.1, to ask again.
//
// Proves: IS-STAT-1
func TestRespond(t *testing.T) {
	works := func(context.Context, *snapshot.Domain, cua.Address, cua.Address, []byte) error { return nil }
	for _, tt := range []struct {
		name    string
		back    ischedule.RequestStatus
		respond receiver.Respond
		want    string
		sent    bool
	}{
		{"sent", ischedule.StatusDelivered, works, delivered, true},
		{"it fails", ischedule.StatusDelivered, func(context.Context, *snapshot.Domain, cua.Address, cua.Address, []byte) error {
			return errors.New("no connection")
		}, "503", true},
		{"nobody to send it", ischedule.StatusDelivered, nil, "503", false},
		{"nothing is owed by who does not take the question", ischedule.StatusNoAuthority, works, "200 " + guest + " 3.8", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.gw.answer = owes(tt.back)
			sent := ""
			if tt.respond != nil {
				w.respond = func(ctx context.Context, d *snapshot.Domain, from, to cua.Address, body []byte) error {
					sent = d.Name + " " + from.String() + " " + to.String() + " " + string(body)
					if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 30*time.Second {
						t.Error("the delivery's deadline does not hold")
					}
					return tt.respond(ctx, d, from, to, body)
				}
				w.renew()
			}
			if got := w.send(refresh(t, "1")); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			want := ""
			if tt.sent {
				want = "gw.example " + guest + " mailto:ann@sender.example the event"
			}
			if sent != want {
				t.Errorf("sent %q, want %q", sent, want)
			}
		})
	}
}

// A question that could not be answered may be asked again; an answered one is not answered twice.
//
// Proves: IS-RECV-10
func TestRespondOnce(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = owes(ischedule.StatusDelivered)
	calls, fail := 0, errors.New("down")
	w.respond = func(context.Context, *snapshot.Domain, cua.Address, cua.Address, []byte) error {
		calls++
		return fail
	}
	w.renew()
	if got := w.send(refresh(t, "1")); got != "503" {
		t.Errorf("first: %s", got)
	}
	fail = nil
	for range 2 {
		if got := w.send(refresh(t, "1")); got != delivered {
			t.Errorf("again: %s", got)
		}
	}
	if calls != 2 {
		t.Errorf("%d answers", calls)
	}
}
