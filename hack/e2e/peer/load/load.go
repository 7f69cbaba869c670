// Package load keeps up a steady stream of messages and tells exactly what became of each. The schedule is open: a late
// answer does not slow the next message down. A message whose try failed is sent again until it is answered, as a real
// sender would.
//
// It knows nothing of the messages and the wire: Config.Try sends one.
package load

import (
	"context"
	"sync"
	"time"
)

// What a real sender does about a message without an answer.
const (
	ResendAfter = time.Second
	MaxResends  = 30
)

// OnKept begins the error of a try whose connection was made for an earlier one.
const OnKept = "on a kept connection"

// Message is one message; each of its tries gets the same value.
type Message struct {
	ID     string // {run}-{n}, n from 1
	Number int    // n
}

// Try sends a message once. It returns nil when the message was answered well, else what happened, and the address of the
// other end of the connection, "" when there was none.
type Try func(ctx context.Context, m Message) (remote string, err error)

// Config of a Load.
type Config struct {
	Try      Try
	Domain   string        // of the messages' UIDs, {run}-{n}@{domain}
	Rate     float64       // messages per second, 0 = none until SetRate
	InFlight int           // tries at once; 0 = 200
	Timeout  time.Duration // of one try; 0 = 10 s
}

// Load sends messages. Safe for concurrent use.
type Load struct {
	cfg     Config
	slots   chan struct{}
	changed chan struct{} // holds one: Run has to look again what is next

	mu      sync.Mutex
	pace    pace
	waiting []*pending // for their resend, in order: all wait equally long
	open    int        // messages of all runs that are neither answered nor given up
	idle    chan struct{}
	run     *run
}

// pending is a message that is not answered yet.
type pending struct {
	Message
	run     *run
	due     time.Time // of the next try
	resends int
}

// New makes a Load that sends nothing before Run.
func New(cfg Config) *Load {
	if cfg.InFlight == 0 {
		cfg.InFlight = 200
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	now := time.Now()
	return &Load{
		cfg: cfg, slots: make(chan struct{}, cfg.InFlight), changed: make(chan struct{}, 1),
		pace: newPace(now, cfg.Rate), run: newRun(now),
	}
}

// Run sends until ctx ends, which cuts the tries under way, and waits for these.
func (l *Load) Run(ctx context.Context) {
	var tries sync.WaitGroup
	defer tries.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m, wait := l.next(time.Now())
		if m == nil {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-l.changed:
			case <-ctx.Done():
				return
			}
			continue
		}
		if !l.take(ctx, m) {
			return
		}
		tries.Go(func() {
			defer func() { <-l.slots }()
			l.try(ctx, m)
		})
	}
}

// next is the message that is due, or how long to wait for one. Resends go first.
func (l *Load) next(now time.Time) (*pending, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due, ok := l.pace.due()
	wait := time.Hour // until something changes
	if ok {
		wait = due.Sub(now)
	}
	if len(l.waiting) > 0 {
		m := l.waiting[0]
		if !m.due.After(now) {
			l.waiting[0] = nil
			l.waiting = l.waiting[1:]
			m.run.waiting--
			m.run.inFlight++
			return m, 0
		}
		wait = min(wait, m.due.Sub(now))
	}
	if !ok || due.After(now) {
		return nil, wait
	}
	l.pace.sent++
	l.open++
	return l.run.begin(due), 0
}

// take waits for a slot. It reports whether there was one before ctx ended.
func (l *Load) take(ctx context.Context, m *pending) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	if m.resends == 0 {
		l.mu.Lock()
		m.run.late++
		l.mu.Unlock()
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *Load) try(ctx context.Context, m *pending) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	remote, err := l.cfg.Try(ctx, m.Message)

	l.mu.Lock()
	defer l.mu.Unlock()
	ended := time.Now()
	m.run.inFlight--
	if err == nil {
		m.run.answer(m, ended)
		l.close()
		return
	}
	m.run.fail(m, Failure{
		At: began.UTC(), TookMS: milliseconds(ended.Sub(began)), UID: uid(m.ID, l.cfg.Domain), Try: m.resends + 1,
		Remote: remote, Error: err.Error(),
	})
	if m.resends == MaxResends {
		m.run.unresolved++
		l.close()
		return
	}
	m.resends++
	m.due = ended.Add(ResendAfter)
	m.run.waiting++
	l.waiting = append(l.waiting, m)
	if len(l.waiting) == 1 {
		l.look()
	}
}

// close notes the end of a message. Hold mu.
func (l *Load) close() {
	if l.open--; l.open == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// look has Run look again what is next.
func (l *Load) look() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// SetRate begins a new schedule; 0 pauses, while resends go on.
func (l *Load) SetRate(perSecond float64) {
	l.mu.Lock()
	l.pace = newPace(time.Now(), perSecond)
	l.mu.Unlock()
	l.look()
}

// Settle begins no new messages and waits until all are answered or given up. SetRate starts again.
func (l *Load) Settle(ctx context.Context) error {
	l.SetRate(0)
	l.mu.Lock()
	if l.open == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reset begins a new run, with counts of its own. Open messages of the old one are still cared for, and counted no more.
func (l *Load) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run = newRun(time.Now())
}

// Report tells of the run so far.
func (l *Load) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.run.report(l.cfg.Domain, l.pace.perSecond)
}
