package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// posting serves capabilities, and answers POSTs with h.
func posting(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			h(w, r)
			return
		}
		serving(r.URL.Path)(w, r)
	}
}

// Proves: IS-SEND-6
func TestPostGivesTheAnswerAsItIs(t *testing.T) {
	for _, code := range []int{200, 400, 403, 404, 429, 503} {
		r := newRig(t)
		r.one(posting(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "said")
		}))
		a, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{}, []byte("x"))
		if err != nil || a.Status != code || string(a.Body) != "said" || a.Header.Get("Retry-After") != "120" {
			t.Errorf("%d: %+v %v", code, a, err)
		}
	}
}

func TestPostAddsNothingToTheHeader(t *testing.T) {
	r := newRig(t)
	var got http.Header
	r.one(posting(func(_ http.ResponseWriter, req *http.Request) { got = req.Header }))
	header := http.Header{"Originator": {"mailto:a@gw.test"}, "Recipient": {"mailto:b@peer.test,mailto:c@peer.test"}, "Content-Type": {"text/calendar"}}
	sent := header.Clone()
	if _, err := r.disc.Post(t.Context(), r.find("peer.test"), header, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sent, header); d != "" {
		t.Errorf("the caller's header was changed: %s", d)
	}
	sent["Content-Length"] = []string{"1"} // the frame of the message, not its header
	if d := cmp.Diff(sent, got); d != "" {
		t.Error(d)
	}
}

// Proves: IS-DISC-4
func TestRedirectedPOSTs(t *testing.T) {
	tests := []struct {
		name     string
		code     int
		location string // {other} = another server of the same name, {same} = this one
		again    bool
	}{
		{"301, a path", 301, "/end", true},
		{"302, a path", 302, "/end", true},
		{"307, a path", 307, "/end", true},
		{"308, a path", 308, "/end", true},
		{"the same origin in full", 308, "https://CAL.peer.test:{same}/end", true},
		{"303 asks for a GET, which sends nothing", 303, "/end", false},
		{"another port", 307, "https://cal.peer.test:{other}/end", false},
		{"another host", 307, "https://other.test:{other}/end", false},
		{"plain http", 307, "http://cal.peer.test:{same}/end", false},
		{"nowhere", 307, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			other := r.peer(host("cal.peer.test"), serving("/end"))
			var p *peer
			p = r.one(posting(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/end" {
					_, _ = io.WriteString(w, "posted")
					return
				}
				w.Header().Set("Location", strings.NewReplacer("{same}", p.port, "{other}", other.port).Replace(tt.location))
				w.WriteHeader(tt.code)
			}))
			a, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{"Authorization": {"Basic eA=="}}, []byte("body"))
			if err != nil {
				t.Fatal(err)
			}
			want := exchange{Method: "POST", URL: "/end", Body: "body", Authorization: "Basic eA=="}
			last := p.requests()[len(p.requests())-1]
			if tt.again && (last != want || a.Status != 200) {
				t.Errorf("status %d, last request %+v", a.Status, last)
			}
			if !tt.again && a.Status != tt.code {
				t.Errorf("status %d, want the redirect itself", a.Status)
			}
			if n := len(other.requests()); n != 0 {
				t.Errorf("%d requests went elsewhere", n)
			}
		})
	}
}

// Proves: IS-DISC-4
func TestARedirectedPOSTEnds(t *testing.T) {
	r := newRig(t)
	p := r.one(posting(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, req.URL.Path+"x", http.StatusTemporaryRedirect)
	}))
	a, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{}, []byte("x"))
	if err != nil || a.Status != http.StatusTemporaryRedirect {
		t.Errorf("%+v %v", a, err)
	}
	if n := len(p.requests()) - 1; n != 4 {
		t.Errorf("%d POSTs, want 4", n)
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	for size, ok := range map[int]bool{16 << 20: true, 16<<20 + 1: false} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			r := newRig(t)
			r.one(posting(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }))
			if _, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{}, nil); (err == nil) != ok {
				t.Errorf("err = %v, want ok = %v", err, ok)
			}
		})
	}
}

// Proves: IS-SEND-6, IS-DISC-2
func TestAPOSTWithoutAnAnswerIsTemporary(t *testing.T) {
	t.Run("the server is gone", func(t *testing.T) {
		r := newRig(t)
		first := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
		second := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
		r.zone(srv("peer.test", 1, "cal.peer.test", first.port), srv("peer.test", 2, "cal.peer.test", second.port), address("cal.peer.test", "127.0.0.1"))
		found := r.find("peer.test")
		r.disc.Close()
		first.srv.Close()
		if _, err := r.disc.Post(t.Context(), found, http.Header{}, nil); !errors.Is(err, discovery.ErrTemporary) || !errors.Is(err, discovery.ErrUnreached) {
			t.Errorf("err = %v", err)
		}
		// Its capabilities are still fresh, and yet the next target comes first now.
		if got := r.find("peer.test"); !strings.Contains(got.URL, second.port) {
			t.Errorf("found %s again", got.URL)
		}
	})
	t.Run("it closes the connection", func(t *testing.T) {
		r := newRig(t)
		p := r.one(posting(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		_, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{}, []byte("x"))
		if !errors.Is(err, discovery.ErrTemporary) || errors.Is(err, discovery.ErrUnreached) {
			t.Errorf("err = %v", err)
		}
		if n := len(p.requests()) - 1; n != 1 {
			t.Errorf("a message that may have arrived was sent %d times", n)
		}
	})
	t.Run("it takes too long", func(t *testing.T) {
		r := newRig(t)
		r.one(posting(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
		got, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.disc.Post(t.Context(), got, http.Header{}, []byte("x"))
		if !errors.Is(err, discovery.ErrTemporary) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

// Proves: IS-DISC-10
func TestAPOSTIsGuarded(t *testing.T) {
	// The host moves to a forbidden address between capabilities and POST.
	r := newRig(t)
	p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), "cal.peer.test. 0 IN A 127.0.0.1")
	found := r.find("peer.test")
	r.disc.Close()
	r.zone("cal.peer.test. 0 IN A 10.0.0.1")
	var refused *netguard.RefusedError
	if _, err := r.disc.Post(t.Context(), found, http.Header{}, nil); !errors.As(err, &refused) {
		t.Errorf("err = %v", err)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	from := map[string]bool{}
	note := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			from[req.RemoteAddr] = true
			mu.Unlock()
			h(w, req)
		}
	}
	p := r.peer(host("cal.test"), note(serving("/.well-known/ischedule")))
	r.zone(srv("a.test", 0, "cal.test", p.port), srv("b.test", 0, "cal.test", p.port), address("cal.test", "127.0.0.1"))
	for _, domain := range []string{"a.test", "b.test", "a.test"} {
		if _, err := r.disc.Post(t.Context(), r.find(domain), http.Header{}, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 {
		t.Errorf("%d connections, want one", len(from))
	}
}
