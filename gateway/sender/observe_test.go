package sender_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
)

// TestMetricsAreBounded: what a peer says never becomes a label.
func TestMetricsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := &finder{
		receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")},
		answer: func(posted) (*discovery.Answer, error) {
			return &discovery.Answer{Status: 200, Body: []byte(scheduleResponse(
				"<response><recipient>mailto:Bob@peer.example</recipient><request-status>9.99;odd</request-status></response>" +
					"<response><recipient>mailto:eve@peer.example</recipient><request-status>2.0</request-status></response>"))}, nil
		},
	}
	s, a := newSender(t, f, func(c *sender.Config) { c.Metrics = sender.NewMetrics(registry) })
	if _, err := s.Send(t.Context(), submission(t, a, twoGuests, "mailto:Bob@peer.example", "mailto:eve@peer.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), submission(t, a, "no", "mailto:Bob@peer.example")); err == nil {
		t.Fatal("sent")
	}
	want := `
		# HELP calfed_sender_recipients_total Recipients of submitted messages, by request-status.
		# TYPE calfed_sender_recipients_total counter
		calfed_sender_recipients_total{status="2.0"} 1
		calfed_sender_recipients_total{status="other"} 1
		# HELP calfed_sender_refusals_total Submissions refused as a whole, by iSchedule error.
		# TYPE calfed_sender_refusals_total counter
		calfed_sender_refusals_total{error="invalid-calendar-data"} 1
		# HELP calfed_sender_requests_total Requests to receivers, by outcome.
		# TYPE calfed_sender_requests_total counter
		calfed_sender_requests_total{outcome="answered"} 1
	`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "calfed_sender_recipients_total", "calfed_sender_refusals_total", "calfed_sender_requests_total"); err != nil {
		t.Error(err)
	}
}

// TestLog: one line a request, without addresses; addresses at debug level only.
func TestLog(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var log bytes.Buffer
		f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
		s, a := newSender(t, f, func(c *sender.Config) {
			c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
		})
		to := []string{"mailto:Bob@peer.example", "mailto:eve@nowhere.example"}
		if _, err := s.Send(t.Context(), submission(t, a, invitation(to), to...)); err != nil {
			t.Fatal(err)
		}
		text := log.String()
		if got := strings.Contains(text, "Bob@"); got != (level == slog.LevelDebug) {
			t.Errorf("addresses at %v: %v\n%s", level, got, text)
		}
		for _, want := range []string{"message_id=", "peers=[peer.example]", "receiver=cal.peer.example", "2.0=1", "outcome=answered", "peer=nowhere.example", "reason=no-service"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the log:\n%s", want, text)
			}
		}
		if strings.Contains(text, "Plan") {
			t.Errorf("calendar content in the log:\n%s", text)
		}
	}
}

// TestLogSaysWhy: the line of a request that failed holds the cause, or the error's name.
func TestLogSaysWhy(t *testing.T) {
	for want, answer := range map[string]func(posted) (*discovery.Answer, error){
		"cause=\"connection refused\"": func(posted) (*discovery.Answer, error) { return nil, errUnplugged },
		"403 verification-failed": func(posted) (*discovery.Answer, error) {
			return &discovery.Answer{Status: 403, Body: []byte(errorDocument("verification-failed"))}, nil
		},
	} {
		var log bytes.Buffer
		f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}, answer: answer}
		s, a := newSender(t, f, func(c *sender.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		if _, err := s.Send(t.Context(), submission(t, a, twoGuests, "mailto:Bob@peer.example")); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), want) || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("no %q in the one line of the log:\n%s", want, log.String())
		}
	}
}

// TestCancelled: a caller that gives up gets its answer at once, and nothing is left running (goleak).
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &finder{
		receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")},
		answer:    func(posted) (*discovery.Answer, error) { cancel(); <-ctx.Done(); return nil, ctx.Err() },
	}
	s, a := newSender(t, f)
	response, err := s.Send(ctx, submission(t, a, twoGuests, "mailto:Bob@peer.example"))
	if err != nil {
		t.Fatal(err)
	}
	if response.Results[0].Status.Code != ischedule.StatusUnavailable.Code {
		t.Errorf("%+v", response.Results[0])
	}
}

// TestConfig: what cannot work is refused when the sender is made.
func TestConfig(t *testing.T) {
	a := active(t, config(t))
	for name, cfg := range map[string]sender.Config{
		"no snapshot":              {Finder: &finder{}},
		"no finder":                {Active: a},
		"a blank after a comma":    {Active: a, Finder: &finder{}, UserAgent: "calfed (a, b)"},
		"a line end in User-Agent": {Active: a, Finder: &finder{}, UserAgent: "calfed\r\nX: y"},
		"an umlaut in User-Agent":  {Active: a, Finder: &finder{}, UserAgent: "kälfed"},
	} {
		if _, err := sender.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
