package keys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/resolver"
)

// How long an answer is believed.
//
// Proves: IS-DKIM-12
func TestCacheTimes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		zone  string
		holds time.Duration
	}{
		{"a key for its TTL", txt(600, record(t)), 600 * time.Second},
		{"a key for an hour at most", txt(86400, record(t)), time.Hour},
		{"no key for 5 min at most", "", 5 * time.Minute}, // the zone's negative TTL is 600
		{"a record that is none for 5 min at most", txt(86400, "v=spf1"), 5 * time.Minute},
		{"a revoked key for 5 min at most", txt(86400, "p="), 5 * time.Minute},
		{"a key with TTL 0 for a second", txt(0, record(t)), time.Second},
		{"a key with TTL 1 for a second", txt(1, record(t)), time.Second},
		{"a revoked key with TTL 0 not at all", txt(0, "p="), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.zone)
			ask := func(want int) {
				t.Helper()
				_, _ = w.find(request())
				if got := w.asked(); got != want {
					t.Fatalf("asked %d times, want %d", got, want)
				}
			}
			ask(1)
			if tc.holds > 0 {
				ask(1)
				w.advance(tc.holds - time.Second)
				ask(1)
				w.advance(time.Second)
			}
			ask(2)
		})
	}
}

// Proves: IS-DKIM-12
func TestCacheTellsMethodsAndNamesApart(t *testing.T) {
	a := record(t)
	w := newWorld(t, txt(600, a))
	if _, ok := w.Cached(request()); ok {
		t.Fatal("cached before anything was asked")
	}
	if _, err := w.find(request()); err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Second)
	found, ok := w.Cached(request())
	if !ok || !keyed(t, found, a) || found.Cached != 10*time.Second {
		t.Errorf("got %+v, %v", found, ok)
	}
	for name, req := range map[string]keys.Request{
		"another method":   request(dkim.MethodWellKnown),
		"another selector": {Domain: "sender.test", Selector: "sel2"},
		"another domain":   {Domain: "x.sender.test", Selector: "sel"},
	} {
		if _, ok := w.Cached(req); ok {
			t.Errorf("%s is cached", name)
		}
	}
	// A method without a key, known from the cache, is passed by.
	if _, err := w.find(request(dkim.MethodWellKnown)); class(t, err) != "not found" {
		t.Fatal(err)
	}
	if found, ok := w.Cached(request(dkim.MethodWellKnown, dkim.MethodDNS)); !ok || !keyed(t, found, a) {
		t.Errorf("got %+v, %v", found, ok)
	}
}

// Proves: IS-DKIM-12
func TestWellKnownIsCachedByItsFreshness(t *testing.T) {
	w := newWorld(t, "")
	var mu sync.Mutex
	served := 0
	s := w.keyServer(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		served++
		mu.Unlock()
		rw.Header().Set("Cache-Control", "max-age=120")
		document(record(t))(rw, r)
	}, goodLeaf)
	w.replace(srv(0, "keys.sender.test", s))
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {119 * time.Second, 1}, {time.Second, 2}} {
		w.advance(step.after)
		if _, err := w.find(request(dkim.MethodWellKnown)); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if served != step.want {
			t.Errorf("step %d: served %d times, want %d", i, served, step.want)
		}
		mu.Unlock()
	}
}

// Proves: IS-DKIM-12
func TestCacheIsBounded(t *testing.T) {
	d := &countingDNS{txt: [][]string{{record(t)}}}
	l := keys.New(keys.Config{DNS: d, MaxEntries: 10})
	defer l.Close()
	for i := range 200 {
		if _, err := l.Find(t.Context(), keys.Request{Domain: "sender.test", Selector: fmt.Sprintf("s%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.CacheSize(); n > 10 {
		t.Errorf("%d answers are kept", n)
	}
	// Large records count for more.
	d.txt = [][]string{{record(t) + "; n=" + strings.Repeat("n", 4<<10)}}
	for i := range 200 {
		if _, err := l.Find(t.Context(), keys.Request{Domain: "large.test", Selector: fmt.Sprintf("s%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.CacheSize(); n > 5 {
		t.Errorf("%d large answers are kept", n)
	}
}

// A key that was replaced under its selector.
//
// Proves: IS-DKIM-12, IS-DKIM-13
func TestRefresh(t *testing.T) {
	a, b := record(t), record(t)
	refresh := func(w *world) (*keys.Found, bool, error) {
		return w.Refresh(w.t.Context(), request(dkim.MethodWellKnown, dkim.MethodDNS))
	}
	start := func(t *testing.T) *world {
		w := newWorld(t, txt(3600, a))
		if found, err := w.find(request(dkim.MethodWellKnown, dkim.MethodDNS)); err != nil || !keyed(t, found, a) {
			t.Fatal(found, err)
		}
		return w
	}

	t.Run("a key that was never found is not asked for", func(t *testing.T) {
		w := newWorld(t, txt(3600, a))
		if _, asked, err := refresh(w); asked || err != nil || w.asked() != 0 {
			t.Errorf("asked %v, %v", asked, err)
		}
	})
	t.Run("nor one of less than a minute", func(t *testing.T) {
		w := start(t)
		w.advance(time.Minute)
		if _, asked, err := refresh(w); asked || err != nil || w.asked() != 1 {
			t.Errorf("asked %v, %v", asked, err)
		}
	})
	t.Run("an older one is, past every cache, and the new key stays", func(t *testing.T) {
		w := start(t)
		w.replace(txt(3600, b))
		w.advance(61 * time.Second)
		found, asked, err := refresh(w)
		if !asked || err != nil || !keyed(t, found, b) || found.Method != dkim.MethodDNS || found.Cached != 0 {
			t.Errorf("got %+v, %v, %v", found, asked, err)
		}
		if found, ok := w.Cached(request(dkim.MethodWellKnown, dkim.MethodDNS)); !ok || !keyed(t, found, b) {
			t.Errorf("cached %+v, %v", found, ok)
		}
	})
	t.Run("once a minute", func(t *testing.T) {
		w := start(t)
		for i, step := range []struct {
			after time.Duration
			asked bool
		}{{61 * time.Second, true}, {time.Second, false}, {59 * time.Second, false}, {time.Second, true}} {
			w.advance(step.after)
			if _, asked, err := refresh(w); asked != step.asked || err != nil {
				t.Errorf("step %d: asked %v, %v", i, asked, err)
			}
		}
	})
	t.Run("once a minute, also when it fails; what is cached stays", func(t *testing.T) {
		w := start(t)
		w.dns.Fail("sel._domainkey.sender.test", dns.RcodeServerFailure)
		w.advance(61 * time.Second)
		if _, asked, err := refresh(w); !asked || class(t, err) != "temporary" {
			t.Errorf("asked %v, %v", asked, err)
		}
		if _, asked, err := refresh(w); asked || err != nil {
			t.Errorf("at once again: asked %v, %v", asked, err)
		}
		if found, ok := w.Cached(request(dkim.MethodWellKnown, dkim.MethodDNS)); !ok || !keyed(t, found, a) {
			t.Errorf("cached %+v, %v", found, ok)
		}
		w.advance(time.Minute)
		w.dns.Fail("sel._domainkey.sender.test", dns.RcodeSuccess)
		if found, asked, err := refresh(w); !asked || err != nil || !keyed(t, found, a) {
			t.Errorf("got %+v, %v, %v", found, asked, err)
		}
	})
	t.Run("revoked meanwhile", func(t *testing.T) {
		w := start(t)
		w.replace(txt(3600, "p="))
		w.advance(61 * time.Second)
		if _, asked, err := refresh(w); !asked || class(t, err) != "revoked" {
			t.Errorf("asked %v, %v", asked, err)
		}
		if _, err := w.find(request()); class(t, err) != "revoked" {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("withdrawn meanwhile, the answer not to be kept", func(t *testing.T) {
		w := start(t)
		w.replace(txt(0, "v=spf1"))
		w.advance(61 * time.Second)
		if _, asked, err := refresh(w); !asked || class(t, err) != "not found" {
			t.Errorf("asked %v, %v", asked, err)
		}
		if found, ok := w.Cached(request()); ok {
			t.Errorf("still cached: %+v", found)
		}
	})
}

// blockedDNS answers once released.
type blockedDNS struct {
	mu      sync.Mutex
	n       int
	release chan struct{}
	text    string
}

func (d *blockedDNS) LookupTXT(ctx context.Context, _ string) ([][]string, resolver.Answer, error) {
	d.mu.Lock()
	d.n++
	d.mu.Unlock()
	select {
	case <-d.release:
		return [][]string{{d.text}}, resolver.Answer{TTL: time.Hour}, nil
	case <-ctx.Done():
		return nil, resolver.Answer{}, ctx.Err()
	}
}

func (d *blockedDNS) LookupSRV(context.Context, string) ([]resolver.SRV, resolver.Answer, error) {
	return nil, resolver.Answer{}, nil
}

func (d *blockedDNS) Forget(string) {}

// One question on the wire, however many wait; who gives up disturbs nobody.
//
// Proves: IS-DKIM-12, IS-DKIM-13
func TestOneLookupInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := record(t)
		d := &blockedDNS{release: make(chan struct{}), text: a}
		l := keys.New(keys.Config{DNS: d})
		defer l.Close()
		first, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Find(first, request()); class(t, err) != "temporary" {
				t.Errorf("who gave up got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			wg.Go(func() {
				if found, err := l.Find(t.Context(), request()); err != nil || !keyed(t, found, a) {
					t.Errorf("got %+v, %v", found, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(d.release)
		wg.Wait()
		if d.n != 1 || l.Flights() != 0 {
			t.Errorf("%d questions, %d flights left", d.n, l.Flights())
		}
	})
}

// Whoever has a budget is asked once a look-up, not once a message; what is refused is asked of nobody.
//
// Proves: IS-RECV-1
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &blockedDNS{release: make(chan struct{}), text: record(t)}
		l := keys.New(keys.Config{DNS: d})
		defer l.Close()
		errBudget := errors.New("over budget")
		var admitted atomic.Int32
		req := request()
		req.Admit = func() error { return errBudget }
		if _, err := l.Find(t.Context(), req); !errors.Is(err, errBudget) || d.n != 0 {
			t.Errorf("refused: %v, %d questions", err, d.n)
		}
		req.Admit = func() error { admitted.Add(1); return nil }
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := l.Find(t.Context(), req); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(d.release)
		wg.Wait()
		if n := admitted.Load(); n != 1 || d.n != 1 {
			t.Errorf("asked %d times for leave, %d questions", n, d.n)
		}
		req.Admit = func() error { return errBudget }
		if _, err := l.Find(t.Context(), req); err != nil {
			t.Errorf("from the cache: %v", err)
		}

		// a second look-up of a key in doubt needs leave too, and one that got none may ask again
		time.Sleep(2 * time.Minute)
		req.Admit = func() error { return errBudget }
		if _, asked, err := l.Refresh(t.Context(), req); !asked || !errors.Is(err, errBudget) {
			t.Errorf("refused: asked %v, %v", asked, err)
		}
		req.Admit = nil
		if found, asked, err := l.Refresh(t.Context(), req); !asked || err != nil || found == nil {
			t.Errorf("asked %v, %v", asked, err)
		}
	})
}

// A look-up goes on without its callers, but not for ever.
//
// Proves: IS-DKIM-13
func TestLookupsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &blockedDNS{release: make(chan struct{}), text: record(t)}
		l := keys.New(keys.Config{DNS: d})
		defer l.Close()
		begin := time.Now()
		if _, err := l.Find(t.Context(), request()); class(t, err) != "temporary" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := &blockedDNS{release: make(chan struct{}), text: record(t)}
		l := keys.New(keys.Config{DNS: d})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Find(t.Context(), request()); class(t, err) != "temporary" {
				t.Errorf("under way: %v", err)
			}
		})
		synctest.Wait()
		l.Close()
		wg.Wait()
		if _, err := l.Find(t.Context(), request()); class(t, err) != "temporary" {
			t.Errorf("closed: %v", err)
		}
	})
}

// Strangers choose how many keys are asked for.
//
// Proves: IS-DKIM-13
func TestLookupsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &blockedDNS{release: make(chan struct{}), text: record(t)}
		l := keys.New(keys.Config{DNS: d})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				_, _ = l.Find(t.Context(), keys.Request{Domain: "sender.test", Selector: fmt.Sprintf("s%d", i)})
			})
		}
		synctest.Wait()
		begin := time.Now()
		if _, err := l.Find(t.Context(), request()); class(t, err) != "temporary" || time.Since(begin) > 0 {
			t.Errorf("got %v", err)
		}
		close(d.release)
		wg.Wait()
		if _, err := l.Find(t.Context(), request()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		l.Close()
	})
}
