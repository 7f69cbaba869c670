package sender

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/snapshot"
)

// group is the recipients that one receiver serves.
type group struct {
	receiver   *discovery.Receiver // nil = the fallback, or this gateway (IS-SEND-9)
	fallback   backend.Backend     // nil = none
	outbound   *snapshot.Outbound  // settings of the policy; nil = none
	domains    []string
	recipients []*recipient
}

// destination is one recipient domain on the way to its receiver.
type destination struct {
	domain     string
	outbound   *snapshot.Outbound
	recipients []*recipient
	receiver   *discovery.Receiver
	err        error
}

// route groups recipients of m by receiver (IS-SEND-1); those that have none are settled.
func (s *Sender) route(ctx context.Context, m *message, recipients []*recipient) []*group {
	local := &group{}
	byDomain := make(map[string]*destination)
	var order []*destination
	for _, r := range recipients {
		domain := r.address.Domain()
		if d := byDomain[domain]; d != nil && r.wire != "" {
			d.recipients = append(d.recipients, r)
			continue
		}
		out, open := s.admit(m, r, domain)
		if !open {
			continue
		}
		if _, here := s.cfg.Active.Domain(domain); here {
			local.recipients = append(local.recipients, r)
			continue
		}
		d := &destination{domain: domain, outbound: out, recipients: []*recipient{r}}
		byDomain[domain] = d
		order = append(order, d)
	}

	var find errgroup.Group
	find.SetLimit(parallel)
	for _, d := range order {
		find.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, timeout(d.outbound))
			defer cancel()
			d.receiver, d.err = s.cfg.Finder.Find(ctx, d.domain, d.outbound)
			return nil
		})
	}
	_ = find.Wait()

	groups := s.byReceiver(ctx, m, order)
	if len(local.recipients) > 0 {
		groups = append(groups, local)
	}
	return groups
}

// admit settles a recipient that needs no look-up to be refused, and returns the outbound settings for the others.
func (s *Sender) admit(m *message, r *recipient, domain string) (*snapshot.Outbound, bool) {
	switch {
	case r.wire == "":
		r.settle(ischedule.StatusUnknownUser, "the address cannot be written in a header field")
		return nil, false
	case domain == "":
		r.settle(ischedule.StatusNoService, "the address names no domain, so nothing leads to its calendar service")
		return nil, false
	case domain == m.domain.Name:
		// IS-SEND-9: what came from the domain's one calendar system would go straight back to it
		r.settle(ischedule.StatusNoService, "the recipient is in the Originator's own domain: its calendar system delivers this itself")
		return nil, false
	}
	verdict := policy.Outbound(s.cfg.Active, policy.Question{
		Peer: domain, Domain: m.domain.Name, Component: m.itip.Component, Method: m.itip.Method,
	})
	if !verdict.Allowed {
		r.settle(ischedule.StatusNoAuthority, "a policy of this gateway refuses messages to the recipient's domain ("+verdict.Reason+")")
		return nil, false
	}
	if verdict.Policy == nil {
		return nil, true
	}
	return &verdict.Policy.Outbound, true
}

// byReceiver joins destinations whose receiver is the same, and settles those that have none. Different credentials
// are different receivers (Receiver.Key).
func (s *Sender) byReceiver(ctx context.Context, m *message, found []*destination) []*group {
	var groups []*group
	index := make(map[string]*group)
	for _, d := range found {
		if d.err == nil && d.receiver == nil {
			d.err = discovery.ErrNoService
		}
		if d.err != nil {
			status, reason, description := noReceiver(d.err)
			s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "no receiver found", slog.String("peer", d.domain),
				slog.String("reason", reason), slog.Int("recipients", len(d.recipients)), slog.Any("cause", d.err))
			for _, r := range d.recipients {
				if errors.Is(d.err, discovery.ErrNoService) {
					m.withoutService(r, status, description)
				} else {
					r.settle(status, description)
				}
			}
			continue
		}
		g := index[d.receiver.Key]
		if g == nil {
			g = &group{receiver: d.receiver, outbound: d.outbound}
			index[d.receiver.Key] = g
			groups = append(groups, g)
		}
		g.domains = append(g.domains, d.domain)
		g.recipients = append(g.recipients, d.recipients...)
	}
	return groups
}

// noReceiver tells transient failures of discovery from final ones (IS-SEND-6, IS-SEND-7).
func noReceiver(err error) (status ischedule.RequestStatus, reason, description string) {
	var refused *netguard.RefusedError
	switch {
	case errors.As(err, &refused):
		return ischedule.StatusNoService, "address-refused",
			"the domain's iSchedule service is at an address this gateway may not connect to (" + refused.Rule + ")"
	case errors.Is(err, discovery.ErrNoService):
		return ischedule.StatusNoService, "no-service", "the domain offers no iSchedule service"
	case errors.Is(err, context.DeadlineExceeded):
		return ischedule.StatusUnavailable, "discovery-timeout", "the domain's iSchedule service did not answer in time; not queued"
	default:
		return ischedule.StatusUnavailable, "discovery-failed", "the domain's iSchedule service cannot be found or reached now; not queued"
	}
}

func timeout(out *snapshot.Outbound) time.Duration {
	if out == nil || out.Timeout <= 0 {
		return defaultTimeout
	}
	return out.Timeout
}

// authorization is the credential for the receiver, written so that no signed field holds ", " (Bedework
// canonicalises only " , "); ischedule-relaxed drops blanks around commas anyway. Quoted strings stay as they are.
func authorization(out *snapshot.Outbound) string {
	if out == nil {
		return ""
	}
	parts := strings.Split(strings.TrimSpace(out.Authorization), `"`)
	for i := 0; i < len(parts); i += 2 {
		parts[i] = blanksAfterComma.ReplaceAllString(parts[i], ",")
	}
	return strings.Join(parts, `"`)
}

var blanksAfterComma = regexp.MustCompile(`,[ \t]+`)
