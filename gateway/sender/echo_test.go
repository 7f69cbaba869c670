package sender_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/sender"
)

// echoes knows one echo.
type echoes struct{ body string }

func (e echoes) IsEcho(originator cua.Address, body []byte, msg *itip.Message) bool {
	return originator.String() == "mailto:alice@example.org" && string(body) == e.body && msg.UID == "meeting-1"
}

// TestEcho: what a calendar server says only because we wrote to it goes nowhere, and is counted; the answer to a question goes.
//
// Proves: IS-SUB-3
func TestEcho(t *testing.T) {
	to := []string{"mailto:bob@peer.example", "mailto:eve@nowhere.example", "mailto:carol@example.org"}
	body := invitation(to)
	for _, tt := range []struct {
		name    string
		body    string
		owed    bool
		swallow bool
	}{
		{"an echo", body, false, true},
		{"an echo with LF line ends", strings.ReplaceAll(body, "\r\n", "\n"), false, true},
		{"news", strings.Replace(body, "SEQUENCE:0", "SEQUENCE:1", 1), false, false},
		{"what somebody asked for", body, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			registry := prometheus.NewRegistry()
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			b := &slower{}
			s, a := newSender(t, f, withFallback(b), func(c *sender.Config) {
				c.Echoes, c.Metrics = echoes{body}, sender.NewMetrics(registry)
				c.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			sub := submission(t, a, tt.body, to...)
			sub.Owed = tt.owed
			response, err := s.Send(t.Context(), sub)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{to[0]: "2.0", to[1]: "1.1", to[2]: "5.2"}
			counted := "0"
			if tt.swallow {
				want, counted = map[string]string{to[0]: "2.0", to[1]: "2.0", to[2]: "2.0"}, "1"
			}
			if diff := cmp.Diff(want, statuses(response)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			if sent := len(f.found)+len(f.posts)+len(b.got) > 0; sent == tt.swallow {
				t.Errorf("looked up %v, posted %d, mailed %d", f.found, len(f.posts), len(b.got))
			}
			metric := "# HELP calfed_sender_echoes_total Messages not sent: a calendar server wrote them only because this gateway wrote to it.\n" +
				"# TYPE calfed_sender_echoes_total counter\ncalfed_sender_echoes_total " + counted + "\n"
			if err := testutil.GatherAndCompare(registry, strings.NewReader(metric), "calfed_sender_echoes_total"); err != nil {
				t.Error(err)
			}
			if tt.swallow && (!strings.Contains(log.String(), "echo swallowed") || strings.Contains(log.String(), "@")) {
				t.Errorf("log:\n%s", &log)
			}
		})
	}
}
