package caldav_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/snapshot"
)

// A test of the back end that fails on its way removes what it wrote.
//
// Proves: IS-BACK-2
func TestTest(t *testing.T) {
	run := func(f *fake, b *caldav.Backend) map[string]string {
		out := map[string]string{}
		for _, c := range b.Test(context.Background(), alice) {
			switch {
			case c.Skipped:
				out[c.Name] = "skipped"
			case c.OK:
				out[c.Name] = "OK"
			default:
				out[c.Name] = "failed"
			}
			if strings.Contains(c.Seen+c.Cause, "secret") {
				t.Errorf("tells the password: %+v", c)
			}
		}
		if len(f.objects) != 0 {
			t.Errorf("left behind: %v", f.objects)
		}
		return out
	}
	f := newFake(t)
	b := f.backend(t, func(s *snapshot.CalDAV) { s.BypassACL = true })
	want := map[string]string{
		"connect and authenticate": "OK", "find the user": "OK", "find the default calendar": "OK", "write an event": "OK", "read it back": "OK",
		"update it conditionally": "OK", "update it with an old entity tag": "OK", "remove it": "OK", "ask free/busy": "OK",
	}
	if d := cmp.Diff(want, run(f, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	raced := false
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool { // a server that heeds no condition
		if r.Method == http.MethodDelete && !raced { // but that one, once
			raced = true
			w.WriteHeader(http.StatusPreconditionFailed)
			return true
		}
		if r.Method == http.MethodPut && r.Header.Get("If-Match") != "" {
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		return false
	}
	want["update it with an old entity tag"], want["remove it"], want["ask free/busy"] = "failed", "skipped", "skipped"
	if d := cmp.Diff(want, run(f, f.backend(t, nil))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Who cannot connect learns which of the many causes it is.
//
// Proves: IS-BACK-3
func TestTestWithoutConnection(t *testing.T) {
	nothing := httptest.NewServer(http.NotFoundHandler())
	nothing.Close()
	for _, tt := range []struct {
		name, url, cause string
		status           int
	}{
		{"a wrong password", "", "credentialsRef", http.StatusUnauthorized},
		{"a server in trouble", "", "does not run", http.StatusBadGateway},
		{"a page for people", "", "no WebDAV folder", http.StatusNotFound},
		{"nothing listens", nothing.URL, "does not run", 0},
		{"a port for others", "http://127.0.0.1:9/", "port 443", 0},
		{"an address that is not ours", "http://192.0.2.1:8008/", "backendCIDRs", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				w.WriteHeader(tt.status)
				return true
			}
			checks := f.backend(t, func(s *snapshot.CalDAV) {
				s.PrincipalTemplate = ""
				if tt.url != "" {
					s.URL = tt.url
				}
			}).Test(context.Background(), alice)
			if c := checks[0]; c.OK || !strings.Contains(c.Cause, tt.cause) || strings.Contains(c.Seen+c.Cause, "secret") {
				t.Errorf("%+v", c)
			}
			if !checks[1].Skipped {
				t.Errorf("%+v", checks[1])
			}
		})
	}
}

// Whether the server is there and takes the credentials can be asked without a user, and nothing is written.
//
// Proves: IS-BACK-3
func TestReach(t *testing.T) {
	f := newFake(t)
	b := f.backend(t, nil)
	if c := b.Reach(context.Background()); !c.OK || len(f.writes) != 0 {
		t.Errorf("%+v, %d writes", c, len(f.writes))
	}
	f.hook = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if c := b.Reach(context.Background()); c.OK || c.Seen == "" || !strings.Contains(c.Cause, "credentialsRef") || strings.Contains(c.Seen+c.Cause, "secret") {
		t.Errorf("%+v", c)
	}
}
