package rounds_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/calfed/calfed/controllers/rounds"
)

func named(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: fmt.Sprint(n)}
}

// log counts looks by name, and in each second.
type log struct {
	mu     sync.Mutex
	start  time.Time
	byName map[types.NamespacedName][]time.Duration
}

func (l *log) note(name types.NamespacedName) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byName[name] = append(l.byName[name], time.Since(l.start))
	return len(l.byName[name])
}

func (l *log) times(name types.NamespacedName) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byName[name]
}

// start runs rounds until the test ends; time in a synctest bubble is fake.
func start(t *testing.T, cfg rounds.Config) *rounds.Rounds {
	t.Helper()
	cfg.Period, cfg.Soonest, cfg.Clock = 15*time.Minute, 5*time.Second, clock.RealClock{}
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	r := rounds.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestThousandDomainsKeepThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}}
		pace := rounds.NewPace(50, clock.RealClock{})
		perSecond := map[int]int{}
		var mu sync.Mutex
		r := start(t, rounds.Config{Workers: 16, Look: func(ctx context.Context, name types.NamespacedName) bool {
			for range 3 {
				if pace.Wait(ctx, 1) != nil {
					return false
				}
				mu.Lock()
				perSecond[int(time.Since(seen.start).Seconds())]++
				mu.Unlock()
			}
			seen.note(name)
			return true
		}})
		for n := range 1000 {
			r.Add(named(n), fmt.Sprint("uid", n), n%2 == 0)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for second, n := range perSecond {
			if n > 51 { // 50 and the one of the moment itself
				t.Errorf("%d look-ups in second %d", n, second)
			}
		}
		for n := range 1000 {
			times := seen.times(named(n))
			if len(times) < 3 || len(times) > 5 {
				t.Fatalf("%d was looked at %d times in an hour: %v", n, len(times), times)
			}
		}
	})
}

func TestRounds(t *testing.T) {
	t.Parallel()
	one := named(1)
	for name, f := range map[string]func(t *testing.T, seen *log){
		"what is settled has its turn once in a period": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Look: func(_ context.Context, n types.NamespacedName) bool { seen.note(n); return true }})
			r.Add(one, "uid", false)
			r.Add(one, "uid", false)
			time.Sleep(time.Hour)
			if n := len(seen.times(one)); n < 4 || n > 5 {
				t.Errorf("%d looks in an hour", n)
			}
		},
		"what is not settled has it soon, and then more seldom": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Look: func(_ context.Context, n types.NamespacedName) bool { seen.note(n); return false }})
			r.Add(one, "uid", false)
			time.Sleep(40 * time.Second)
			synctest.Wait()
			if got := fmt.Sprint(seen.times(one)); got != "[0s 5s 15s 35s]" {
				t.Error(got)
			}
			time.Sleep(3 * time.Hour)
			if n := len(seen.times(one)); n > 24 {
				t.Errorf("%d looks in three hours", n)
			}
		},
		"what waits is looked at when asked": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Look: func(_ context.Context, n types.NamespacedName) bool { seen.note(n); return true }})
			r.Add(one, "a seed", true)
			time.Sleep(time.Second)
			r.Now(one)
			synctest.Wait()
			if got := fmt.Sprint(seen.times(one)); got != "[1s]" {
				t.Error(got)
			}
		},
		"who asks goes ahead of those who have their turn": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Workers: 1, Look: func(_ context.Context, n types.NamespacedName) bool {
				time.Sleep(time.Second)
				seen.note(n)
				return true
			}})
			for n := range 100 {
				r.Add(named(n), fmt.Sprint(n), n == 99)
			}
			time.Sleep(1500 * time.Millisecond)
			r.Now(named(99))
			time.Sleep(2 * time.Second)
			if len(seen.times(named(99))) != 1 {
				t.Errorf("%v, %v", seen.times(one), seen.times(named(99)))
			}
		},
		"who asks during a look has another": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Look: func(_ context.Context, n types.NamespacedName) bool {
				time.Sleep(10 * time.Second)
				seen.note(n)
				return true
			}})
			r.Add(one, "uid", false)
			time.Sleep(5 * time.Second)
			r.Now(one)
			time.Sleep(time.Minute)
			if got := fmt.Sprint(seen.times(one)); got != "[10s 20s]" {
				t.Error(got)
			}
		},
		"what is removed is left alone": func(t *testing.T, seen *log) {
			r := start(t, rounds.Config{Look: func(_ context.Context, n types.NamespacedName) bool {
				time.Sleep(time.Second)
				seen.note(n)
				return true
			}})
			r.Add(one, "uid", false)
			r.Add(named(2), "uid", true)
			time.Sleep(500 * time.Millisecond)
			r.Remove(one)
			r.Remove(named(2))
			r.Now(one)
			time.Sleep(time.Hour)
			if len(seen.times(one)) != 1 || len(seen.times(named(2))) != 0 {
				t.Errorf("%v, %v", seen.times(one), seen.times(named(99)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f(t, &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}})
			})
		})
	}
}

func TestPaceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	pace := rounds.NewPace(0.001, clock.RealClock{})
	if pace.Wait(ctx, 2) == nil {
		t.Error("no error")
	}
}
