package load_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calfed/calfed/hack/e2e/peer/load"
)

var errRefused = errors.New("refused")

// running runs a load on a clock of its own until the test ends.
func running(t *testing.T, cfg load.Config, test func(t *testing.T, l *load.Load)) {
	t.Helper()
	cfg.Domain = "sender.example"
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		l := load.New(cfg)
		ended := make(chan struct{})
		go func() { defer close(ended); l.Run(ctx) }()
		test(t, l)
		stop()
		<-ended
	})
}

// counts are those of a report that say how many.
func counts(r load.Report) load.Report {
	return load.Report{
		Sent: r.Sent, Answered: r.Answered, Failed: r.Failed, Resent: r.Resent, Unresolved: r.Unresolved,
		InFlight: r.InFlight, Waiting: r.Waiting, Late: r.Late,
	}
}

func want(t *testing.T, l *load.Load, w load.Report) {
	t.Helper()
	if diff := cmp.Diff(w, counts(l.Report())); diff != "" {
		t.Error(diff)
	}
}

// pass lets the time of the test go on.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// after answers well after a time.
func after(d time.Duration) load.Try {
	return func(ctx context.Context, _ load.Message) (string, error) {
		select {
		case <-time.After(d):
			return "192.0.2.1:443", nil
		case <-ctx.Done():
			return "192.0.2.1:443", ctx.Err()
		}
	}
}

func TestTheRateIsKeptHoweverLateAnswersAre(t *testing.T) {
	running(t, load.Config{Try: after(5 * time.Second), Rate: 10}, func(t *testing.T, l *load.Load) {
		pass(10 * time.Second)
		want(t, l, load.Report{Sent: 100, Answered: 50, InFlight: 50})
		l.SetRate(1000)
		pass(100 * time.Millisecond)
		want(t, l, load.Report{Sent: 200, Answered: 51, InFlight: 149})
		l.SetRate(0)
		pass(time.Hour)
		want(t, l, load.Report{Sent: 200, Answered: 200})
	})
}

func TestTriesBeyondTheBoundAreLateAndNotLost(t *testing.T) {
	running(t, load.Config{Try: after(time.Second), Rate: 10, InFlight: 5}, func(t *testing.T, l *load.Load) {
		pass(10 * time.Second)
		r := l.Report()
		if r.Late < 40 || r.InFlight != 6 || r.Sent > 56 {
			t.Errorf("%+v", r)
		}
		l.SetRate(0) // what is not begun by now is not sent
		pass(2 * time.Second)
		r = l.Report()
		if r.Answered != r.Sent || r.Latency.Max < 1000 {
			t.Errorf("%+v", r)
		}
	})
}

func TestAMessageIsSentAgainUntilItIsAnswered(t *testing.T) {
	var mu sync.Mutex
	tries := map[string][]time.Time{}
	try := func(_ context.Context, m load.Message) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		tries[m.ID] = append(tries[m.ID], time.Now())
		if m.Number == 2 && len(tries[m.ID]) < 4 {
			return "192.0.2.1:443", fmt.Errorf("try %d", len(tries[m.ID]))
		}
		return "192.0.2.1:443", nil
	}
	running(t, load.Config{Try: try, Rate: 1}, func(t *testing.T, l *load.Load) {
		began := time.Now()
		pass(2 * time.Second)
		want(t, l, load.Report{Sent: 2, Answered: 1, Failed: 1, Waiting: 1})
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, l, load.Report{Sent: 2, Answered: 2, Failed: 1, Resent: 1})
		r := l.Report()
		var got []load.Failure
		for i := range 3 {
			at := began.Add(time.Duration(i+2) * time.Second).UTC()
			got = append(got, load.Failure{At: at, UID: r.Run + "-2@sender.example", Try: i + 1, Remote: "192.0.2.1:443", Error: fmt.Sprintf("try %d", i+1)})
		}
		if diff := cmp.Diff(got, r.Failures); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{r.Run + "-1@sender.example", r.Run + "-2@sender.example"}, r.UIDs()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAMessageIsGivenUpAfterThirtyResends(t *testing.T) {
	n := 0
	try := func(context.Context, load.Message) (string, error) { n++; return "", errRefused }
	running(t, load.Config{Try: try, Rate: 1}, func(t *testing.T, l *load.Load) {
		pass(time.Second)
		began := time.Now()
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 30*time.Second || n != 31 {
			t.Errorf("%d tries in %s", n, took)
		}
		want(t, l, load.Report{Sent: 1, Failed: 1, Unresolved: 1})
	})
}

func TestATryEndsAtItsTimeout(t *testing.T) {
	running(t, load.Config{Try: after(time.Hour), Rate: 1, Timeout: 3 * time.Second}, func(t *testing.T, l *load.Load) {
		pass(time.Second)
		l.SetRate(0)
		pass(3 * time.Second)
		want(t, l, load.Report{Sent: 1, Failed: 1, Waiting: 1})
		if f := l.Report().Failures[0]; f.TookMS != 3000 || f.Error != context.DeadlineExceeded.Error() {
			t.Errorf("%+v", f)
		}
	})
}

func TestSettleEndsWithItsContext(t *testing.T) {
	running(t, load.Config{Try: after(9 * time.Second), Rate: 1}, func(t *testing.T, l *load.Load) {
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		want(t, l, load.Report{Sent: 1, InFlight: 1})
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, l, load.Report{Sent: 1, Answered: 1})
	})
}

// What is still open of the run before is cared for, and does not count in the new one.
func TestResetBeginsNewCounts(t *testing.T) {
	var answered atomic.Int64
	try := func(ctx context.Context, m load.Message) (string, error) {
		defer answered.Add(1)
		return after(7*time.Second)(ctx, m)
	}
	running(t, load.Config{Try: try, Rate: 1}, func(t *testing.T, l *load.Load) {
		pass(2 * time.Second)
		old := l.Report().Run
		l.Reset()
		want(t, l, load.Report{})
		pass(time.Second)
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, l, load.Report{Sent: 1, Answered: 1})
		if answered.Load() != 3 || l.Report().Run == old {
			t.Errorf("%d answered, run %s after %s", answered.Load(), l.Report().Run, old)
		}
	})
}

func TestAReportHoldsTheFirstFailuresOnly(t *testing.T) {
	try := func(context.Context, load.Message) (string, error) { return "", errRefused }
	running(t, load.Config{Try: try, Rate: 25_000}, func(t *testing.T, l *load.Load) {
		pass(time.Second)
		l.SetRate(0)
		want(t, l, load.Report{Sent: 25_000, Failed: 25_000, Waiting: 25_000})
		if r := l.Report(); len(r.Failures) != 20_000 {
			t.Errorf("%d", len(r.Failures))
		}
	})
}

func TestLatenciesAreThoseFromWhenMessagesWereDue(t *testing.T) {
	try := func(ctx context.Context, m load.Message) (string, error) {
		return after(time.Duration(m.Number)*10*time.Millisecond)(ctx, m)
	}
	running(t, load.Config{Try: try, Rate: 1}, func(t *testing.T, l *load.Load) {
		pass(100*time.Second + time.Millisecond)
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		within := cmpopts.EquateApprox(1.0/32, 0)
		if diff := cmp.Diff(load.Latency{P50: 510, P99: 1000, Max: 1000}, l.Report().Latency, within); diff != "" {
			t.Error(diff)
		}
	})
}
