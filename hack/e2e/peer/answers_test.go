package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// firstBad answers the first try of each message in one way, and passes the others on. It remembers the bodies.
type firstBad struct {
	bad, good http.Handler
	mu        sync.Mutex
	bodies    map[string][]string // by Message-ID
}

func (f *firstBad) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	id := req.Header.Get(ischedule.HeaderMessageID)
	f.mu.Lock()
	f.bodies[id] = append(f.bodies[id], string(body)+req.Header.Get(ischedule.HeaderDKIMSignature))
	first := len(f.bodies[id]) == 1
	f.mu.Unlock()
	if first {
		f.bad.ServeHTTP(w, req)
		return
	}
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	f.good.ServeHTTP(w, req)
}

// Everything but status 200 with request-status 2.x for the recipient is a failed try, whose message is sent again as it was.
func TestWhatIsNoGoodAnswerIsAFailedTry(t *testing.T) {
	document := func(recipient string, status ischedule.RequestStatus) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			(&ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: recipient, Status: status, Description: "says why"}}}).Write(w)
		}
	}
	for name, tc := range map[string]struct {
		bad  http.HandlerFunc // nil = does not answer
		want string           // the failure says
	}{
		"503 of a gateway that leaves": {func(w http.ResponseWriter, _ *http.Request) {
			(&ischedule.Error{Status: http.StatusServiceUnavailable, Reason: "draining", Description: "This gateway is shutting down."}).Write(w)
		}, "HTTP status 503: This gateway is shutting down."},
		"a refusal": {func(w http.ResponseWriter, _ *http.Request) {
			ischedule.NewError(ischedule.VerificationFailed, "x", "The signature is wrong.").Write(w)
		}, "HTTP status 403: verification-failed The signature is wrong."},
		"an error of something between": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad\x1b\ngateway", http.StatusBadGateway)
		}, "HTTP status 502: bad gateway"},
		"a redirect": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "/elsewhere", http.StatusTemporaryRedirect)
		}, "HTTP status 307: "},
		"service unavailable":    {document("mailto:alice@example.org", ischedule.StatusUnavailable), "request-status 5.1;Service unavailable says why"},
		"queued":                 {document("mailto:alice@example.org", ischedule.StatusQueued), "request-status 1.0;Queued; outcome pending says why"},
		"for another recipient":  {document("mailto:bob@example.org", ischedule.StatusDelivered), "the answer leaves the recipient out"},
		"a page":                 {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }, "not a usable iSchedule document: not well-formed XML at line 1"},
		"a connection that ends": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "<schedule-response>")
			check(t, http.NewResponseController(w).Flush())
			panic(http.ErrAbortHandler)
		}, "HTTP status 200, then unexpected EOF"},
		"none in time": {nil, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			key, _, _ := w.key("ed25519")
			ended := make(chan struct{})
			timeout := 10 * time.Second
			if tc.bad == nil {
				tc.bad = func(http.ResponseWriter, *http.Request) { <-ended }
				timeout = 200 * time.Millisecond
			}
			seen := &firstBad{bad: tc.bad, good: &w.tally, bodies: map[string][]string{}}
			server := httptest.NewUnstartedServer(seen)
			leaf, err := w.ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
			check(t, err)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
			server.StartTLS()
			defer server.Close()
			defer close(ended)
			p := w.send(server.Listener.Addr(), key, "--rate", "20", "--timeout", timeout.String())
			p.until("all fail", func(r load.Report) bool { return r.Failed >= 2 })
			r := p.ask("POST", "/settle")
			w.allArrived(r)
			if r.Failed != r.Sent || r.Resent != r.Sent || len(r.Failures) != r.Sent {
				t.Errorf("%s: %+v", &r, r.Failures)
			}
			for _, f := range r.Failures {
				if f.Error != tc.want || f.Remote != server.Listener.Addr().String() {
					t.Errorf("%q at %s, want %q", f.Error, f.Remote, tc.want)
				}
			}
			for id, tries := range seen.bodies {
				body, signature, _ := strings.Cut(tries[0], "v=1;")
				again, newSignature, _ := strings.Cut(tries[1], "v=1;")
				if len(tries) != 2 || signature == newSignature || body != again {
					t.Errorf("%s: %d tries; %s", id, len(tries), cmp.Diff(body, again))
				}
			}
		})
	}
}
