package controllers

import (
	"testing"
	"testing/synctest"
	"time"
)

// Changes are gathered until they have been quiet for 250 ms, and for a second at most, however many come.
func TestChangesAreGathered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		every time.Duration // between changes, 0 = there is one
		want  time.Duration // from the first change until they are compiled
	}{
		"one change":                     {0, quietTime},
		"changes that do not fall quiet": {100 * time.Millisecond, quietMax},
		"changes far apart":              {300 * time.Millisecond, quietTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var m marks
				began, next := time.Now(), 0
				change := func() {
					m.mark(dirt{shards: map[int]bool{next: true}})
					next++
				}
				change()
				for time.Since(began) < 2*quietMax {
					d, wait := m.take()
					if wait == 0 {
						if took := time.Since(began); took != tc.want || len(d.shards) != next {
							t.Errorf("%d of %d changes after %s, want all after %s", len(d.shards), next, took, tc.want)
						}
						if d, wait := m.take(); !d.empty() || wait != 0 {
							t.Errorf("taken twice: %+v, %s", d, wait)
						}
						return
					}
					if tc.every > 0 && tc.every < wait {
						time.Sleep(tc.every)
						change()
						continue
					}
					time.Sleep(wait)
				}
				t.Errorf("%d changes, and none is compiled", next)
			})
		})
	}
}
