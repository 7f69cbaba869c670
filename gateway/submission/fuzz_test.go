package submission_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

// FuzzServeHTTP: whatever the header and body, the answer is one of a few statuses with a well-formed document, and what
// reaches the sender is for the domain of the credentials.
func FuzzServeHTTP(f *testing.F) {
	f.Add("POST", "/", "", "Bearer "+tokenOne, "1.0", "mailto:alice@example.org", "mailto:bob@peer.example", "text/calendar", body, true)
	f.Add("POST", "/.well-known/ischedule", "", "Bearer "+tokenShared, "1.0", "alice@EXAMPLE.org", "a@b.example, c", "text/calendar; component=VEVENT", "", true)
	f.Add("GET", "/", "action=capabilities", "", "", "", "", "", "", false)
	f.Add("POST", "/", "", "bearer  "+tokenOne, "1.0,2.0", "mailto:x%40y@example.org", ",,,", "text/calendar; charset=utf-8", "\x00", true)
	out := &recorder{}
	a, err := snapshot.Activate(config(f))
	if err != nil {
		f.Fatal(err)
	}
	clock := time.Now()
	f.Fuzz(func(t *testing.T, method, path, query, authorization, version, originator, recipient, contentType, body string, secure bool) {
		clock = clock.Add(time.Hour) // no input is answered with 429
		h, err := submission.New(submission.Config{Active: a, Sender: out, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		req := post()
		req.Method, req.URL.Path, req.URL.RawQuery = method, path, query
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if !secure {
			req.TLS = nil
		}
		req.Header = http.Header{"Authorization": {authorization}, "Ischedule-Version": {version}, "Originator": {originator}, "Recipient": {recipient}, "Content-Type": {contentType}}
		out.got = nil
		w := serve(h, req)
		switch w.Code {
		case 200, 400, 401, 403, 404, 405, 413, 415:
		default:
			t.Errorf("status %d", w.Code)
		}
		if w.Code != 200 && method != http.MethodHead {
			if _, ok := ischedule.ReadError(w.Code, w.Body.Bytes()); !ok {
				t.Errorf("%d without an error document: %q", w.Code, w.Body)
			}
		}
		for _, sub := range out.got {
			token, _ := strings.CutPrefix(strings.TrimSpace(authorization), "Bearer ")
			if !secure || sub.Domain.Name != sub.Request.Originator.Domain() {
				t.Errorf("taken for %s from %s", sub.Domain.Name, sub.Request.Originator)
			}
			if strings.HasPrefix(authorization, "Bearer ") && strings.TrimSpace(token) != tokenOne && strings.TrimSpace(token) != tokenShared {
				t.Errorf("taken with token %q", token)
			}
		}
	})
}
