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

// With more than a period has room for, the round takes longer, and everything has its turn in it.
func TestABacklogIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const things, lookTime = 1000, 2 * time.Second // 33 minutes a round, where the period has 15
		seen := &log{start: time.Now(), byName: map[types.NamespacedName][]time.Duration{}}
		newcomer := named(things)
		r := start(t, rounds.Config{Workers: 1, Look: func(_ context.Context, n types.NamespacedName) bool {
			time.Sleep(lookTime)
			seen.note(n)
			return n != newcomer
		}})
		for n := range things {
			r.Add(named(n), fmt.Sprint("uid", n), false)
		}
		time.Sleep(3 * time.Hour)

		t.Log("who comes, and what is under way, waits for nobody's turn")
		came := time.Since(seen.start)
		r.Add(newcomer, "uid", false)
		time.Sleep(time.Minute)
		times := seen.times(newcomer)
		if len(times) < 4 {
			t.Fatalf("it came after %v and was looked at after %v", came, times)
		}
		for i, at := range times[:4] {
			last, delay := came, time.Duration(0)
			if i > 0 {
				last, delay = times[i-1], 5*time.Second<<(i-1)
			}
			if wait := at - last; wait > delay+2*lookTime { // the look under way, and its own
				t.Errorf("look %d comes after %v", i, wait)
			}
		}

		t.Log("what nothing helps has its turn like all others")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := len(seen.times(newcomer)); n > 1+8+6 { // 5 s … 640 s, and then every round
			t.Errorf("%d looks in three hours", n)
		}
		round := things * lookTime
		for n := range things + 1 {
			times := append(seen.times(named(n)), time.Since(seen.start))
			for i := range times[1:] {
				if wait := times[i+1] - times[i]; wait > round+round/5 {
					t.Fatalf("%d waits %v, and a round takes %v", n, wait, round)
				}
			}
		}
	})
}
