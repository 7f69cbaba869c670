package submission_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/submission"
)

// TestGuessingIsLimited: failed authentications of one source run out; right credentials of others do not, and one
// wrong token again and again is one guess.
//
// Proves: IS-SUB-1
func TestGuessingIsLimited(t *testing.T) {
	clock := time.Now()
	out := &recorder{}
	h := newHandler(t, out, func(c *submission.Config) { c.Now = func() time.Time { return clock } })
	for range 50 {
		if w := serve(h, post(with("Authorization", "Bearer old-token"))); w.Code != 401 {
			t.Fatalf("the same wrong token: %d", w.Code)
		}
	}
	blocked, last := 0, ""
	for i := range 50 {
		guess := "Bearer guess-" + strings.Repeat("x", i)
		w := serve(h, post(with("Authorization", guess)))
		if w.Code == 401 {
			last = guess
		}
		if w.Code == 429 {
			blocked++
			if w.Header().Get("Retry-After") == "" {
				t.Fatal("429 without Retry-After")
			}
		}
	}
	if blocked < 40 {
		t.Errorf("%d of 50 guesses were refused unseen", blocked)
	}
	if w := serve(h, post(with("Authorization", last))); w.Code != 401 {
		t.Errorf("the last guess again, which costs nothing: %d, want 401", w.Code)
	}
	if w := serve(h, post()); w.Code != 429 {
		t.Errorf("a right guess after many: %d, want 429", w.Code)
	}
	if w := serve(h, post(func(r *http.Request) { r.RemoteAddr = "192.0.2.8:1" })); w.Code != 200 {
		t.Errorf("a neighbour: %d", w.Code)
	}
	clock = clock.Add(time.Minute)
	if w := serve(h, post()); w.Code != 200 {
		t.Errorf("a minute later: %d", w.Code)
	}
}

// TestGuessingMemoryIsBounded: many sources cost little and forget the oldest state only.
//
// Proves: IS-SUB-1
func TestGuessingMemoryIsBounded(t *testing.T) {
	h := newHandler(t, &recorder{})
	for i := range 10_000 {
		remote := "[2001:db8:" + strings.ToLower(hex16(i)) + "::1]:1"
		if w := serve(h, post(with("Authorization", "Bearer wrong"), func(r *http.Request) { r.RemoteAddr = remote })); w.Code != 401 {
			t.Fatalf("%s: %d", remote, w.Code)
		}
	}
	if n := submission.Remembered(h); n > 4096 {
		t.Errorf("%d sources remembered", n)
	}
}

func hex16(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})
}
