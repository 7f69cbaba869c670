package sender

import (
	"context"
	"log/slog"

	"github.com/calfed/calfed/gateway/ischedule"
)

// swallow ends a message that a calendar server sends only because we wrote to it: everybody concerned knows already. nil
// when it is no echo. IS-SUB-3.
func (s *Sender) swallow(ctx context.Context, sub *Submission, m *message) *ischedule.Response {
	if s.cfg.Echoes == nil || sub.Owed || !s.cfg.Echoes.IsEcho(m.originator, m.body, m.itip) {
		return nil
	}
	s.cfg.Metrics.echoes.Inc()
	s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "echo swallowed", slog.String("submitter", sub.Submitter), slog.String("domain", m.domain.Name),
		slog.String("component", m.itip.Component), slog.String("method", m.itip.Method), slog.Int("recipients", len(m.asked)))
	out := &ischedule.Response{}
	for _, to := range sub.Request.Recipients {
		out.Results = append(out.Results, ischedule.RecipientResult{
			Recipient: to.String(), Status: ischedule.StatusDelivered,
			Description: "an echo of what this gateway wrote into the calendar; not sent",
		})
	}
	return out
}
