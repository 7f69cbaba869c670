package rounds

import (
	"context"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Pace lets so many things happen in a second, one after the other. Safe for concurrent use.
type Pace struct {
	limiter *rate.Limiter
	clock   clock.WithTicker
}

// NewPace makes a Pace.
func NewPace(perSecond float64, c clock.WithTicker) *Pace {
	return &Pace{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), clock: c}
}

// Wait waits for n turns; the error is the context's.
func (p *Pace) Wait(ctx context.Context, n int) error {
	for range n {
		now := p.clock.Now()
		turn := p.limiter.ReserveN(now, 1)
		delay := turn.DelayFrom(now)
		if delay <= 0 {
			continue
		}
		timer := p.clock.NewTimer(delay)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			turn.CancelAt(p.clock.Now())
			return ctx.Err()
		}
	}
	return ctx.Err()
}
