package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/receiver"
)

// begin is Begin where no error is expected.
func begin(t *testing.T, m receiver.ReplayMemory, c receiver.Claim) receiver.State {
	t.Helper()
	s, err := m.Begin(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The states of a claim, one after the other.
//
// Proves: IS-RECV-10
func TestReplayStates(t *testing.T) {
	now := start
	ctx := context.Background()
	m := receiver.NewReplayMemory(receiver.ReplayOptions{Now: func() time.Time { return now }})
	claim := receiver.Claim{Key: "k", MessageID: "id", Keep: start.Add(time.Hour), Lease: time.Minute}
	want := func(s receiver.State, status receiver.Status, answer string) {
		t.Helper()
		if d := cmp.Diff(receiver.State{Status: status, Answer: bytesOrNil(answer)}, s); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	other := claim
	other.Key = "another"

	want(begin(t, m, claim), receiver.Fresh, "")
	want(begin(t, m, claim), receiver.InProgress, "")
	want(begin(t, m, other), receiver.Conflict, "")
	now = now.Add(time.Minute) // the lease ends: whoever held it is gone
	want(begin(t, m, claim), receiver.Fresh, "")
	if err := m.Abandon(ctx, claim); err != nil {
		t.Fatal(err)
	}
	want(begin(t, m, other), receiver.Fresh, "") // an abandoned message leaves no trace
	_ = m.Abandon(ctx, other)
	want(begin(t, m, claim), receiver.Fresh, "")
	if err := m.Finish(ctx, claim, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	want(begin(t, m, claim), receiver.Finished, "answer")
	if err := m.Abandon(ctx, claim); err != nil { // too late: what is delivered stays remembered
		t.Fatal(err)
	}
	now = claim.Keep
	want(begin(t, m, claim), receiver.Finished, "answer")
	want(begin(t, m, other), receiver.Conflict, "")
	now = claim.Keep.Add(time.Nanosecond)
	want(begin(t, m, other), receiver.Fresh, "")
}

func bytesOrNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// A run that outlasts Keep holds its claim as long as its lease.
//
// Proves: IS-RECV-10
func TestReplayLeaseOutlastsKeep(t *testing.T) {
	now := start
	m := receiver.NewReplayMemory(receiver.ReplayOptions{Now: func() time.Time { return now }})
	claim := receiver.Claim{Key: "k", Keep: start.Add(time.Second), Lease: time.Minute}
	begin(t, m, claim)
	now = start.Add(30 * time.Second)
	if s := begin(t, m, claim); s.Status != receiver.InProgress {
		t.Errorf("status %v", s.Status)
	}
}

// A full memory takes nothing new, keeps all it has, and has room again when something expired.
//
// Proves: IS-RECV-10
func TestReplayFull(t *testing.T) {
	for name, opt := range map[string]receiver.ReplayOptions{
		"entries": {MaxEntries: 3},
		"bytes":   {MaxBytes: 3 * 400},
	} {
		t.Run(name, func(t *testing.T) {
			now := start
			opt.Now = func() time.Time { return now }
			m := receiver.NewReplayMemory(opt)
			claim := func(n int) receiver.Claim {
				return receiver.Claim{Key: fmt.Sprintf("%064d", n), Keep: start.Add(time.Duration(n) * time.Minute), Lease: time.Second}
			}
			for n := 1; n <= 3; n++ {
				begin(t, m, claim(n))
			}
			if _, err := m.Begin(context.Background(), claim(4)); !errors.Is(err, receiver.ErrReplayFull) {
				t.Fatalf("a fourth entry: %v", err)
			}
			// a long answer of what was begun is taken all the same
			if err := m.Finish(context.Background(), claim(3), make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			if s := begin(t, m, claim(3)); s.Status != receiver.Finished {
				t.Errorf("an entry was forgotten early: %v", s.Status)
			}
			now = start.Add(3*time.Minute + time.Second) // all three have expired
			if s := begin(t, m, claim(5)); s.Status != receiver.Fresh {
				t.Errorf("no room after expiry: %v", s.Status)
			}
		})
	}
}

// What is kept of an answer is what is counted of it, not the buffer that it was written in.
func TestReplayKeepsNoMoreOfAnAnswerThanIsCounted(t *testing.T) {
	m := receiver.NewReplayMemory(receiver.ReplayOptions{Now: func() time.Time { return start }})
	claim := receiver.Claim{Key: "k", Keep: start.Add(time.Hour), Lease: time.Minute}
	begin(t, m, claim)
	if err := m.Finish(context.Background(), claim, append(make([]byte, 0, 1<<20), "answer"...)); err != nil {
		t.Fatal(err)
	}
	if got := begin(t, m, claim).Answer; string(got) != "answer" || cap(got) > 64 {
		t.Errorf("%q with room for %d octets", got, cap(got))
	}
}

// Of many claims at once, one is fresh.
//
// Proves: IS-RECV-10
func TestReplayConcurrent(t *testing.T) {
	m := receiver.NewReplayMemory(receiver.ReplayOptions{})
	claim := receiver.Claim{Key: "k", MessageID: "id", Keep: time.Now().Add(time.Hour), Lease: time.Hour}
	var mu sync.Mutex
	fresh := 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s, err := m.Begin(context.Background(), claim)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && s.Status == receiver.Fresh {
				fresh++
			}
		})
	}
	wg.Wait()
	if fresh != 1 {
		t.Errorf("%d claims were fresh", fresh)
	}
}
