package receiver

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
)

// report logs and counts one scheduling message: one line, without addresses or content.
func (r *Receiver) report(ctx context.Context, m *Message, err *ischedule.Error) {
	result, reason, level, status := resultAccepted, "delivered", slog.LevelInfo, http.StatusOK
	switch {
	case err != nil:
		result, reason, level, status = resultOf(err), err.Reason, levelOf(err), err.Status
	case m.replayed:
		result, reason = resultReplayed, "replay"
	case !m.anySuccess():
		result, reason = resultRefused, "recipients"
	}
	took := r.cfg.Now().Sub(m.started)
	metrics := r.cfg.Shared.Metrics
	metrics.request(result, reason, max(took, 1))
	if err == nil && !m.replayed {
		for _, res := range m.response().Results {
			metrics.recipient(res.Status)
		}
	}
	attrs := []slog.Attr{
		slog.String("result", result), slog.String("reason", reason), slog.Int("status", status),
		slog.String("peer", m.peer()), slog.String("policy", m.policies()),
		slog.Int("recipients", len(m.recipients)+len(m.bad)), slog.Duration("took", took), slog.Bool("local", m.local), slog.Bool("mail", m.mail),
	}
	if m.Request != nil {
		attrs = append(attrs, slog.String("message_id", m.Request.MessageID))
	}
	if m.ITIP != nil {
		attrs = append(attrs, slog.String("component", m.ITIP.Component), slog.String("method", m.ITIP.Method),
			slog.Int("violations", len(m.ITIP.Violations)))
	}
	// causes of our own failures are ours; those of refusals quote the peer
	if err != nil && err.Err != nil && (level > slog.LevelInfo || r.cfg.Log.Enabled(ctx, slog.LevelDebug)) {
		attrs = append(attrs, slog.String("error", err.Err.Error()))
	}
	r.cfg.Log.LogAttrs(ctx, level, "scheduling message", attrs...)
}

// levelOf is the log level of an error: what strangers do is information, what fails on our side is a warning.
func levelOf(err *ischedule.Error) slog.Level {
	if err.Status >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (m *Message) anySuccess() bool {
	return slices.ContainsFunc(m.recipients, func(rc *recipient) bool { return rc.result.Status.Success() })
}

// policies are the IDs of the policies that decided, at most four.
func (m *Message) policies() string {
	var ids []string
	for _, rt := range m.routes {
		id := "default"
		if rt.decision.Policy != nil {
			id = rt.decision.Policy.ID
		}
		if len(ids) < 4 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, ",")
}
