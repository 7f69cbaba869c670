package sender_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/sender"
)

// TestNoReceiver: transient failures of discovery are told from final ones, and nobody else suffers.
//
// Proves: IS-SEND-6, IS-SEND-7, IS-STAT-1, IS-DISC-10
func TestNoReceiver(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no service is final", fmt.Errorf("peer.example: %w", discovery.ErrNoService), "5.2"},
		{"a refused address is final", fmt.Errorf("dial: %w", &netguard.RefusedError{Address: netip.MustParseAddrPort("10.0.0.1:443"), Rule: "private"}), "5.2"},
		{"DNS trouble is transient", fmt.Errorf("SERVFAIL: %w", discovery.ErrTemporary), "5.1"},
		{"a time-out is transient", fmt.Errorf("lookup: %w", context.DeadlineExceeded), "5.1"},
		{"what is not known is transient", errUnplugged, "5.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{errors: map[string]error{"peer.example": test.err}, receivers: map[string]*discovery.Receiver{"b.example": receiver("b.example")}}
			s, a := newSender(t, f)
			to := []string{"mailto:bob@peer.example", "mailto:eve@b.example"}
			response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{to[0]: test.want, to[1]: "2.0"}, statuses(response)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			if response.Results[0].Description == "" {
				t.Error("no reason is given")
			}
		})
	}
}

// TestDeniedPeer: a policy that denies the peer refuses before discovery.
//
// Proves: IS-STAT-1
func TestDeniedPeer(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"enemy.example": receiver("enemy.example"), "peer.example": receiver("peer.example")}}
	s, a := newSender(t, f)
	to := []string{"mailto:bob@enemy.example", "mailto:eve@enemy.example", "mailto:joe@peer.example"}
	response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{to[0]: "3.8", to[1]: "3.8", to[2]: "2.0"}, statuses(response)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"peer.example"}, f.found); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
}

// local is this gateway's own receiver.
type local struct {
	got    []*ischedule.Request
	answer func(*ischedule.Request) (*ischedule.Response, *ischedule.Error)
}

func (l *local) Local(_ context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	l.got = append(l.got, req)
	return l.answer(req)
}

// TestLocalRecipients: domains of this gateway are served in process, unsigned; the Originator's own domain is not
// served at all.
//
// Proves: IS-SEND-9, IS-SEND-3
func TestLocalRecipients(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("peer.example")}}
	f.answer = func(p posted) (*discovery.Answer, error) {
		to := p.header.Get("Recipient")
		r := ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: to, Status: ischedule.StatusDelivered, CalendarData: []byte(busy(to))}}}
		return &discovery.Answer{Status: 200, Body: r.Marshal()}, nil
	}
	own := &local{answer: func(req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
		return &ischedule.Response{Results: []ischedule.RecipientResult{
			{Recipient: req.Recipients[0].String(), Status: ischedule.StatusDelivered, CalendarData: []byte(busy(req.Recipients[0].String()))},
		}}, nil
	}}
	s, a := newSender(t, f, func(c *sender.Config) { c.Local = own })
	to := []string{"mailto:bob@branch.example", "mailto:carol@example.org", "mailto:eve@peer.example"}
	response, err := s.Send(t.Context(), submission(t, a, question(to...), to...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{to[0]: "2.0", to[1]: "5.2", to[2]: "2.0"}, statuses(response)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"peer.example"}, f.found); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
	if len(own.got) != 1 {
		t.Fatalf("%d messages handed over", len(own.got))
	}
	req := own.got[0]
	if req.Originator.String() != "mailto:alice@example.org" || req.Component != "VFREEBUSY" || req.Method != "REQUEST" || req.MessageID == "" ||
		req.ContentType != "text/calendar; charset=utf-8; component=VFREEBUSY; method=REQUEST" {
		t.Errorf("handed over %+v", req)
	}
	if diff := cmp.Diff(question("mailto:bob@branch.example"), string(req.Body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// TestLocalFailure: an overall refusal of our own receiver reads like a peer's.
//
// Proves: IS-SEND-9, IS-SEND-5
func TestLocalFailure(t *testing.T) {
	tests := []struct {
		name   string
		refuse *ischedule.Error
		want   string
	}{
		{"refused", ischedule.NewError(ischedule.OriginatorDenied, "policy-deny", "no"), "3.8"},
		{"unavailable", &ischedule.Error{Reason: "backend", Description: "later"}, "5.1"},
		{"not run here", nil, "5.2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, a := newSender(t, &finder{}, func(c *sender.Config) {
				if test.refuse != nil {
					c.Local = &local{answer: func(*ischedule.Request) (*ischedule.Response, *ischedule.Error) { return nil, test.refuse }}
				}
			})
			response, err := s.Send(t.Context(), submission(t, a, invitation([]string{"mailto:bob@branch.example"}), "mailto:bob@branch.example"))
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Results[0].Status.Code; got != test.want {
				t.Errorf("status %s, want %s", got, test.want)
			}
		})
	}
}
