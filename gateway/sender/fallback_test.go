package sender_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	backendimip "github.com/calfed/calfed/gateway/backend/imip"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/smarthost/smtptest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// slower is a fallback that notes what it gets, and answers as told.
type slower struct {
	got    []*backend.Delivery
	answer func(*backend.Delivery) ([]backend.Result, error) // nil = 1.1 for everybody
}

func (s *slower) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("no deadline")
	}
	s.got = append(s.got, d)
	if s.answer != nil {
		return s.answer(d)
	}
	var out []backend.Result
	for _, a := range d.Recipients {
		out = append(out, backend.Result{Recipient: a, Status: ischedule.StatusMailed})
	}
	return out, nil
}

func (*slower) Close() {}

// to are the recipients of all deliveries.
func (s *slower) to() []string {
	var out []string
	for _, d := range s.got {
		for _, a := range d.Recipients {
			out = append(out, a.String())
		}
	}
	return out
}

func withFallback(b backend.Backend) func(*sender.Config) {
	return func(c *sender.Config) { c.Fallback = map[string]backend.Backend{"example.org": b} }
}

// TestFallback: who has no iSchedule, or one that does not take the message, is reached the slower way; whose failure may pass is
// not, and neither is who was refused.
//
// Proves: IS-SEND-7, IS-CAP-6, IS-STAT-1
func TestFallback(t *testing.T) {
	const bob, eve = "mailto:bob@peer.example", "mailto:eve@b.example"
	noService := fmt.Errorf("peer.example: %w", discovery.ErrNoService)
	narrow := receiver("cal.peer.example", func(c *ischedule.Capabilities) { c.Messages = []ischedule.Component{{Name: "VTODO"}} })
	for _, tt := range []struct {
		name     string
		to       string
		err      error // of finding peer.example
		receiver *discovery.Receiver
		post     func(posted) (*discovery.Answer, error)
		edit     func(*sender.Submission)
		want     string
		mailed   bool
	}{
		{name: "no service", err: noService, want: "1.1", mailed: true},
		{name: "its capabilities exclude the message", receiver: narrow, want: "1.1", mailed: true},
		{name: "no service, and the submitter has mail of its own", err: noService, want: "5.2",
			edit: func(s *sender.Submission) { s.NoFallback = true }},
		{name: "excluded, and the submitter has mail of its own", receiver: narrow, want: "3.14",
			edit: func(s *sender.Submission) { s.NoFallback = true }},
		{name: "DNS trouble", err: fmt.Errorf("SERVFAIL: %w", discovery.ErrTemporary), want: "5.1"},
		{name: "a time-out", err: context.DeadlineExceeded, want: "5.1"},
		{name: "an address that may not be connected to", want: "5.2",
			err: &netguard.RefusedError{Address: netip.MustParseAddrPort("10.0.0.1:443"), Rule: "private"}},
		{name: "the receiver is down", receiver: receiver("cal.peer.example"), want: "5.1",
			post: func(posted) (*discovery.Answer, error) { return nil, errUnplugged }},
		{name: "nothing listens there", receiver: receiver("cal.peer.example"), want: "5.1",
			post: func(posted) (*discovery.Answer, error) {
				return nil, fmt.Errorf("%w: refused", discovery.ErrUnreached)
			}},
		{name: "the receiver refuses", receiver: receiver("cal.peer.example"), want: "3.8",
			post: func(posted) (*discovery.Answer, error) { return &discovery.Answer{Status: 403}, nil }},
		{name: "an Originator without mail", err: noService, want: "5.2",
			edit: func(s *sender.Submission) {
				s.Request.Originator = cua.MustParse("https://example.org/alice")
				s.Request.Body = bytes.Replace(s.Request.Body, []byte("mailto:alice@example.org"), []byte("https://example.org/alice"), 1)
			}},
		{name: "a recipient without mail", to: "https://peer.example/bob", err: noService, want: "5.2"},
		{name: "a policy refuses", to: "mailto:bob@enemy.example", err: noService, want: "3.8"},
		{name: "the Originator's own domain", to: "mailto:carol@example.org", err: noService, want: "5.2"},
		{name: "no domain", to: "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8", err: noService, want: "5.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := []string{tt.to, eve}
			if tt.to == "" {
				to[0] = bob
			}
			f := &finder{receivers: map[string]*discovery.Receiver{"b.example": receiver("b.example")}, errors: map[string]error{"peer.example": tt.err}}
			if tt.receiver != nil {
				f.receivers["peer.example"] = tt.receiver
				f.answer = func(p posted) (*discovery.Answer, error) {
					if tt.post != nil && strings.Contains(p.url, "cal.peer") {
						return tt.post(p)
					}
					return &discovery.Answer{Status: 200, Body: (&ischedule.Response{Results: []ischedule.RecipientResult{
						{Recipient: p.header.Get("Recipient"), Status: ischedule.StatusDelivered},
					}}).Marshal()}, nil
				}
			}
			b := &slower{}
			s, a := newSender(t, f, withFallback(b))
			sub := submission(t, a, invitation(to), to...)
			if tt.edit != nil {
				tt.edit(sub)
			}
			response, err := s.Send(t.Context(), sub)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{to[0]: tt.want, eve: "2.0"}, statuses(response)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			if mailed := cmp.Equal(b.to(), []string{to[0]}); mailed != tt.mailed || (!mailed && b.got != nil) {
				t.Errorf("the fallback got %v", b.to())
			}
			if got := response.Results[0].Description; strings.HasPrefix(got, "by mail, because ") != tt.mailed || got == "" {
				t.Errorf("description %q", got)
			}
		})
	}
}

// TestFallbackDelivery: the fallback gets one message with the body as it was submitted, for everybody who is left to it.
//
// Proves: IS-SEND-7
func TestFallbackDelivery(t *testing.T) {
	to := []string{"mailto:bob@peer.example", "mailto:eve@b.example", "mailto:dan@c.example", "mailto:amy@c.example"}
	f := &finder{receivers: map[string]*discovery.Receiver{"b.example": receiver("b.example")}}
	b := &slower{}
	s, a := newSender(t, f, withFallback(b))
	body := invitation(to, "X-ODD;P=\"^n\":as it is")
	if _, err := s.Send(t.Context(), submission(t, a, strings.ReplaceAll(body, "\r\n", "\n"), to...)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{to[0], to[2], to[3]}, b.to()); diff != "" || len(b.got) != 1 {
		t.Fatalf("%d deliveries, recipients (-want +got):\n%s", len(b.got), diff)
	}
	d := b.got[0]
	if diff := cmp.Diff(body, string(d.Body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if d.Originator.String() != "mailto:alice@example.org" || d.MessageID == "" || d.Message.UID != "meeting-1" || d.SignedBy != "" ||
		d.ContentType != "text/calendar; charset=utf-8; component=VEVENT; method=REQUEST" {
		t.Errorf("%+v", d)
	}
}

// TestNoFallbackForQuestions: nobody waits for a mail to answer a free/busy question.
//
// Proves: IS-SEND-7
func TestNoFallbackForQuestions(t *testing.T) {
	b := &slower{}
	s, a := newSender(t, &finder{}, withFallback(b))
	response, err := s.Send(t.Context(), submission(t, a, question("mailto:bob@peer.example"), "mailto:bob@peer.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Results[0].Status.Code; got != "5.2" || b.got != nil {
		t.Errorf("%s, the fallback got %v", got, b.to())
	}
}

// TestNoFallbackWithoutAddress: a mail needs somebody whom its answer can reach.
//
// Proves: IS-SEND-7
func TestNoFallbackWithoutAddress(t *testing.T) {
	b := &slower{}
	s, a := newSender(t, &finder{}, withFallback(b))
	to := []string{"mailto:bob@peer.example"}
	sub := submission(t, a, strings.Replace(invitation(to), "ORGANIZER:mailto:alice@example.org", "ORGANIZER:https://example.org/room", 1), to...)
	sub.Request.Originator = cua.MustParse("https://example.org/room")
	response, err := s.Send(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Results[0].Status.Code; got != "5.2" || b.got != nil {
		t.Errorf("%s, the fallback got %v", got, b.to())
	}
}

// TestFallbackFails: what the mail server says is the status; a failure that may pass is 5.1.
//
// Proves: IS-SEND-6, IS-SEND-7, IS-STAT-1
func TestFallbackFails(t *testing.T) {
	const bob, eve = "mailto:bob@peer.example", "mailto:eve@peer.example"
	results := func(d *backend.Delivery, codes ...ischedule.RequestStatus) []backend.Result {
		var out []backend.Result
		for i, c := range codes {
			out = append(out, backend.Result{Recipient: d.Recipients[i], Status: c, Description: "the mail server refuses it"})
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		answer  func(*backend.Delivery) ([]backend.Result, error)
		bob     string
		eve     string
		outcome string
	}{
		{"per recipient", func(d *backend.Delivery) ([]backend.Result, error) {
			return results(d, ischedule.StatusUnknownUser, ischedule.StatusMailed), nil
		}, "3.7", "1.1", "answered"},
		{"down", func(*backend.Delivery) ([]backend.Result, error) {
			return nil, fmt.Errorf("%w: connection refused", backend.ErrUnavailable)
		}, "5.1", "5.1", "transient"},
		{"too slow", func(*backend.Delivery) ([]backend.Result, error) { return nil, context.DeadlineExceeded }, "5.1", "5.1", "transient"},
		{"not usable", func(*backend.Delivery) ([]backend.Result, error) { return nil, errors.New("no") }, "5.2", "5.2", "refused"},
		{"a recipient is left out", func(d *backend.Delivery) ([]backend.Result, error) {
			return results(d, ischedule.StatusMailed), nil
		}, "1.1", "5.1", "answered"},
		{"it panics", func(*backend.Delivery) ([]backend.Result, error) { panic("oops") }, "5.1", "5.1", "unsent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			s, a := newSender(t, &finder{}, withFallback(&slower{answer: tt.answer}), func(c *sender.Config) {
				c.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			response, err := s.Send(t.Context(), submission(t, a, invitation([]string{bob, eve}), bob, eve))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{bob: tt.bob, eve: tt.eve}, statuses(response)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			for _, want := range []string{"outcome=" + tt.outcome, "receiver=mail", "peers=[peer.example]"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no %s in the log:\n%s", want, &log)
				}
			}
			if strings.Contains(log.String(), "@peer") {
				t.Errorf("an address is in the log:\n%s", &log)
			}
		})
	}
}

// TestFallbackByMail: the whole way to a mail server.
//
// Proves: IS-SEND-7, IS-CAP-6
func TestFallbackByMail(t *testing.T) {
	server, err := smtptest.New(smtptest.Config{Refuse: map[string]*smtp.SMTPError{
		"nobody@peer.example": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	guard := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	client, err := smarthost.New(snapshot.SMTPServer{Host: "127.0.0.1", Port: server.Port(), TLS: snapshot.SMTPPlain}, guard, "gw.example.org")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	by, err := backendimip.New(backendimip.Config{Sender: client, Host: "gw.example.org", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer by.Close()
	f := &finder{receivers: map[string]*discovery.Receiver{
		"fast.example":   receiver("fast.example"),
		"narrow.example": receiver("narrow.example", func(c *ischedule.Capabilities) { c.MaxContentLength = 10 }),
	}}
	s, a := newSender(t, f, withFallback(by))
	to := []string{"mailto:amy@fast.example", "mailto:bob@peer.example", "mailto:nobody@peer.example", "mailto:dan@narrow.example"}
	body := invitation(to)
	response, refusal := s.Send(t.Context(), submission(t, a, body, to...))
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := map[string]string{to[0]: "2.0", to[1]: "1.1", to[2]: "3.7", to[3]: "1.1"}
	if diff := cmp.Diff(want, statuses(response)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	arrived := map[string]bool{}
	for _, m := range server.Mails() {
		read, err := imip.Parse([]byte(m.Body), itip.Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		arrived[m.From+" "+strings.Join(m.To, " ")] = string(read.Body) == body && read.From.Equal(cua.MustParse("alice@example.org"))
	}
	if diff := cmp.Diff(map[string]bool{"alice@example.org bob@peer.example": true, "alice@example.org dan@narrow.example": true}, arrived); diff != "" {
		t.Errorf("mails, and whether they are whole (-want +got):\n%s", diff)
	}
}
