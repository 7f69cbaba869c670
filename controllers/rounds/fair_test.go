package rounds_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/rounds"
)

// Whatever a namespace does with five thousand things, another one's single new thing does not wait for long.
func TestNobodyWaitsForAnotherNamespace(t *testing.T) {
	t.Parallel()
	const many, workers = 5000, 8
	for name, tc := range map[string]struct {
		look time.Duration // that one of the many takes
		ping bool          // all of the many are asked for, again and again
		ask  bool          // the single one is asked for
	}{
		"that has thousands of things":                    {look: time.Second},
		"whose looks hang":                                {look: 10 * time.Minute},
		"that asks for looks all the time":                {look: time.Second, ping: true},
		"that asks, though one asks too":                  {look: time.Second, ping: true, ask: true},
		"that asks all the time for looks that will hang": {look: 10 * time.Minute, ping: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				seen := &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}}
				one := types.NamespacedName{Namespace: "other", Name: "one"}
				r := start(t, rounds.Config{Workers: workers, Look: func(ctx context.Context, n types.NamespacedName) bool {
					seen.note(n)
					if n != one {
						select {
						case <-time.After(tc.look):
						case <-ctx.Done():
						}
					}
					return n == one
				}})
				for n := range many {
					r.Add(named(n), fmt.Sprint(n), false)
				}
				ping := func() {
					for n := range many {
						r.Now(named(n))
					}
				}
				for second := range 60 {
					if tc.ping {
						ping()
					}
					if second == 30 {
						r.Add(one, "one", tc.ask)
						if tc.ask {
							r.Now(one)
						}
					}
					time.Sleep(time.Second)
				}
				if times := seen.times(one); len(times) != 1 || times[0] > 33*time.Second {
					t.Errorf("added after 30 s, looked at after %v", times)
				}
			})
		})
	}
}

// Who asks all the time does not keep those from their turn that have it once in a period.
func TestWhoAsksTakesNobodysTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}}
		one := types.NamespacedName{Namespace: "other", Name: "one"}
		r := start(t, rounds.Config{Workers: 1, Look: func(_ context.Context, n types.NamespacedName) bool {
			time.Sleep(time.Second)
			seen.note(n)
			return true
		}})
		r.Add(one, "one", false)
		for n := range 100 {
			r.Add(named(n), fmt.Sprint(n), false)
		}
		for range 3600 {
			for n := range 100 {
				r.Now(named(n))
			}
			time.Sleep(time.Second)
		}
		if n := len(seen.times(one)); n < 4 {
			t.Errorf("%d looks in an hour", n)
		}
	})
}

// A namespace that has all there is has most of the workers.
func TestOneNamespaceAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}}
		r := start(t, rounds.Config{Workers: 8, Look: func(_ context.Context, n types.NamespacedName) bool {
			seen.note(n)
			time.Sleep(time.Second)
			return true
		}})
		for n := range 60 {
			r.Add(named(n), fmt.Sprint(n), false)
		}
		time.Sleep(9500 * time.Millisecond)
		for n := range 60 {
			if len(seen.times(named(n))) != 1 {
				t.Errorf("%d: %v", n, seen.times(named(n)))
			}
		}
	})
}
