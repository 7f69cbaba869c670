package receiver

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A bucket gives its burst, then one token at a time, and says how long to wait.
//
// Proves: IS-RECV-1
func TestBuckets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var b buckets[string]
	for i := range 2 {
		if _, ok := b.take(now, "a", 2); !ok {
			t.Fatalf("token %d was refused", i)
		}
	}
	wait, ok := b.take(now, "a", 2)
	if ok || wait != 500*time.Millisecond {
		t.Errorf("third token: %v, wait %v", ok, wait)
	}
	if wait, ok = b.take(now, "a", 2); ok || wait != 500*time.Millisecond {
		t.Errorf("a refused request cost a token: wait %v", wait)
	}
	if _, ok = b.take(now, "b", 2); !ok {
		t.Error("keys share a bucket")
	}
	if _, ok = b.take(now.Add(wait), "a", 2); !ok {
		t.Error("no token after the wait")
	}
	if _, ok = b.take(now, "a", 0); !ok {
		t.Error("0 is no limit")
	}
	if _, ok = b.take(now.Add(wait), "a", 1000); !ok {
		b.take(now.Add(wait), "a", 1000)
		t.Log("a new rate refills from now on")
	}
	if _, ok = b.take(now.Add(wait+10*time.Millisecond), "a", 1000); !ok {
		t.Error("the new rate is not applied")
	}
}

// The map of buckets is bounded; the one unused longest goes.
//
// Proves: IS-RECV-1
func TestBucketsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var b buckets[int]
	b.take(now, -1, 1)
	for i := range maxBuckets {
		if i == maxBuckets/2 {
			b.take(now, -1, 1) // used again
		}
		b.take(now, i, 1)
	}
	if len(b.byKey) != maxBuckets || b.used.Len() != maxBuckets {
		t.Errorf("%d buckets, %d in the list", len(b.byKey), b.used.Len())
	}
	if _, ok := b.take(now, -1, 1); ok {
		t.Error("a bucket in use was dropped")
	}
	if _, ok := b.take(now, 0, 1); !ok {
		t.Error("the oldest bucket was kept")
	}
}

// Limits see an IPv4 address, an IPv6 /64, and nothing of the port.
//
// Proves: IS-RECV-1
func TestSourceOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234":             "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":       "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:443":         "fe80::/64",
	} {
		if got := sourceOf(remote); got != netip.MustParsePrefix(want) {
			t.Errorf("%s: %v, want %s", remote, got, want)
		}
	}
	for _, remote := range []string{"", "@", "pipe", "192.0.2.7"} {
		if got := sourceOf(remote); got.IsValid() {
			t.Errorf("%q: %v", remote, got)
		}
	}
}

// Memory for bodies is waited for, and given up on in time.
//
// Proves: IS-RECV-1, IS-RECV-2
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f inFlight
		if err := f.reserve(t.Context(), 80, 100); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.reserve(ctx, 30, 100); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over capacity: %v", err)
		}
		done := make(chan error)
		for range 2 {
			go func() { done <- f.reserve(t.Context(), 50, 100) }()
		}
		synctest.Wait()
		f.release(80)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		f.release(100)
		if f.used != 0 {
			t.Errorf("%d bytes are still reserved", f.used)
		}
		if err := f.reserve(t.Context(), 1<<40, 0); err != nil {
			t.Errorf("0 is no limit: %v", err)
		}
	})
}
