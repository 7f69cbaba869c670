package keys_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

// Proves: IS-DKIM-11
func TestWellKnown(t *testing.T) {
	a, b := record(t), record(t)
	w := newWorld(t, "")
	var asked atomic.Pointer[http.Request]
	s := w.keyServer(func(rw http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		rw.Header().Set("Content-Type", "text/plain; charset=us-ascii")
		_, _ = io.WriteString(rw, a+"\r\n\r\nnot a record\n"+b)
	}, goodLeaf)
	w.replace(srv(0, "Keys.Sender.Test", s))
	found, err := w.find(keys.Request{Domain: "Sender.Test", Selector: "Sel.A", Query: []string{dkim.MethodWellKnown}})
	if err != nil {
		t.Fatal(err)
	}
	if !keyed(t, found, a, b) || found.Method != dkim.MethodWellKnown || found.Cached != 0 {
		t.Errorf("got %+v", found)
	}
	r := asked.Load()
	if r.Method != http.MethodGet || r.RequestURI != "/.well-known/domainkey/sender.test/sel.a" || r.TLS.ServerName != "keys.sender.test" {
		t.Errorf("%s %s, SNI %s", r.Method, r.RequestURI, r.TLS.ServerName)
	}
}

// Proves: IS-DKIM-11
func TestWellKnownCertificates(t *testing.T) {
	a := record(t)
	for _, tc := range []struct {
		name    string
		leaf    catest.Leaf
		wantErr string
	}{
		{"for the target", goodLeaf, ""},
		{"for the source domain", catest.Leaf{DNS: []string{"sender.test"}}, ""},
		{"with the source domain's SRV-ID", catest.Leaf{DNS: []string{"x.test"}, SRV: []string{"_domainkey_lookup.sender.test"}}, ""},
		{"with an SRV-ID of another service", catest.Leaf{DNS: []string{"x.test"}, SRV: []string{"_ischedules.sender.test"}}, "not found"},
		{"for another host", catest.Leaf{DNS: []string{"x.test"}}, "not found"},
		{"expired", catest.Leaf{DNS: goodLeaf.DNS, Expired: true}, "not found"},
		{"for a client", catest.Leaf{DNS: goodLeaf.DNS, Client: true}, "not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, "")
			s := w.keyServer(document(a), tc.leaf)
			w.replace(srv(0, "keys.sender.test", s))
			found, err := w.find(request(dkim.MethodWellKnown))
			if got := class(t, err); got != tc.wantErr {
				t.Fatalf("got %v, want %q", err, tc.wantErr)
			}
			if err == nil && !keyed(t, found, a) {
				t.Errorf("got %+v", found)
			}
		})
	}

	t.Run("of another CA", func(t *testing.T) {
		w, other := newWorld(t, ""), newWorld(t, "")
		s := other.keyServer(document(a), goodLeaf)
		w.replace(srv(0, "keys.sender.test", s))
		if found, err := w.find(request(dkim.MethodWellKnown)); class(t, err) != "not found" {
			t.Errorf("got %+v, %v", found, err)
		}
	})
}

// What a key server can do wrong, by mistake or on purpose. No answer of these gives a key.
//
// Proves: IS-DKIM-11, IS-DKIM-13
func TestHostileWellKnown(t *testing.T) {
	a := record(t)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, a)
		}
	}
	redirect := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				document(a)(w, r)
				return
			}
			http.Redirect(w, r, "/elsewhere", code)
		}
	}
	contentType := func(t string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			if t != "" {
				w.Header().Set("Content-Type", t)
			}
			_, _ = io.WriteString(w, a)
		}
	}
	for _, tc := range []struct {
		name    string
		h       http.HandlerFunc
		wantErr string
	}{
		{"a permanent redirect", redirect(http.StatusMovedPermanently), "not found"},
		{"a temporary redirect", redirect(http.StatusTemporaryRedirect), "not found"},
		{"404", status(http.StatusNotFound), "not found"},
		{"410", status(http.StatusGone), "not found"},
		{"403", status(http.StatusForbidden), "not found"},
		{"another success", status(http.StatusAccepted), "not found"},
		{"429", status(http.StatusTooManyRequests), "temporary"},
		{"500", status(http.StatusInternalServerError), "temporary"},
		{"503", status(http.StatusServiceUnavailable), "temporary"},
		{"HTML", contentType("text/html"), "not found"},
		{"JSON", contentType("application/json"), "not found"},
		{"no content type", contentType(""), "not found"},
		{"a content type that cannot be read", contentType("text/plain; ;="), "not found"},
		{"an empty document", document(""), "not found"},
		{"a document of other text", document("hello\n"), "not found"},
		{"a document above 64 KiB, with its length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(65<<10))
			document(a+"\n"+strings.Repeat("\n", 65<<10-len(a)-1))(w, r)
		}, "not found"},
		{"a document above 64 KiB, in chunks", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, a+"\n")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, strings.Repeat("\n", 65<<10))
		}, "not found"},
		{"a record behind the sixteenth line", document(strings.Repeat("x\n", 16) + a), "not found"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "temporary"},
		{"a document that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, a)
		}, "temporary"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, "")
			s := w.keyServer(tc.h, goodLeaf)
			w.replace(srv(0, "keys.sender.test", s))
			found, err := w.find(request(dkim.MethodWellKnown))
			if got := class(t, err); got != tc.wantErr {
				t.Errorf("got %+v, %v, want %q", found, err, tc.wantErr)
			}
		})
	}
}

// A document of exactly 64 KiB is read.
//
// Proves: IS-DKIM-11
func TestWellKnownLimitIsInclusive(t *testing.T) {
	a := record(t)
	w := newWorld(t, "")
	s := w.keyServer(document(a+strings.Repeat("\n", 64<<10-len(a))), goodLeaf)
	w.replace(srv(0, "keys.sender.test", s))
	if found, err := w.find(request(dkim.MethodWellKnown)); err != nil || !keyed(t, found, a) {
		t.Errorf("got %+v, %v", found, err)
	}
}

// Proves: IS-DKIM-11
func TestWellKnownTargets(t *testing.T) {
	a := record(t)
	w := newWorld(t, "")
	var plainAsked atomic.Bool
	plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		plainAsked.Store(true)
		document(a)(rw, r)
	}))
	t.Cleanup(plain.Close)
	var goodAsked atomic.Int32
	good := w.keyServer(func(rw http.ResponseWriter, r *http.Request) {
		goodAsked.Add(1)
		document(a)(rw, r)
	}, goodLeaf)
	empty := w.keyServer(http.NotFound, goodLeaf)
	broken := w.keyServer(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }, goodLeaf)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := &httptest.Server{Listener: silent} // nobody listens once it is closed
	_ = silent.Close()

	const host = "keys.sender.test"
	line := func(priority int, rest string) string {
		return fmt.Sprintf("_domainkey_lookup._tcp.sender.test. 600 IN SRV %d 0 %s\n", priority, rest)
	}
	for _, tc := range []struct {
		name    string
		zone    string
		wantErr string
		good    int32 // requests at the good server
	}{
		{"no SRV", "", "not found", 0},
		{"the target . means no service", line(0, "0 ."), "not found", 0},
		{"plain http is not spoken", srv(0, host, plain), "not found", 0},
		{"a target without an address", line(0, "443 none.sender.test."), "not found", 0},
		{"a target with a private address", line(0, "443 far.sender.test."), "not found", 0},
		{"a target with a forbidden port", line(0, "25 keys.sender.test."), "not found", 0},
		{"a target that is no host name", line(0, "443 a\\/b.sender.test."), "not found", 0},
		{"the next target when one cannot be reached", srv(0, host, refusing) + srv(1, host, good), "", 1},
		{"the next target when one fails", srv(0, host, broken) + srv(1, host, good), "", 1},
		{"the next target when one speaks plain http", srv(0, host, plain) + srv(1, host, good), "", 1},
		{"the next target when one is refused", line(0, "443 far.sender.test.") + srv(1, host, good), "", 1},
		{"lower priority first", srv(0, host, good) + srv(1, host, broken), "", 1},
		{"404 is an answer", srv(0, host, empty) + srv(1, host, good), "not found", 0},
		{"404 is an answer, also when another is down", srv(0, host, refusing) + srv(1, host, empty) + srv(2, host, good), "not found", 0},
		{"one down, one broken for good", srv(0, host, refusing) + srv(1, host, plain), "temporary", 0},
		{"all down", srv(0, host, refusing), "temporary", 0},
		{"the fifth target is not asked", line(0, "443 a.sender.test.") + line(1, "443 b.sender.test.") + line(2, "443 c.sender.test.") + line(3, "443 d.sender.test.") + srv(4, host, good), "not found", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Another Lookup each, at the same servers.
			each := newWorldWith(t, tc.zone, w.ca)
			goodAsked.Store(0)
			found, err := each.find(request(dkim.MethodWellKnown))
			if got := class(t, err); got != tc.wantErr {
				t.Errorf("got %v, want %q", err, tc.wantErr)
			}
			if err == nil && !keyed(t, found, a) {
				t.Errorf("got %+v", found)
			}
			if got := goodAsked.Load(); got != tc.good {
				t.Errorf("%d requests at the good server, want %d", got, tc.good)
			}
		})
	}
	if plainAsked.Load() {
		t.Error("plain http was spoken")
	}
}
