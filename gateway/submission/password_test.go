package submission_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

func basic(username, password string) func(*http.Request) {
	return with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
}

// TestBasic: a user name with its password authorises for the domains that have it, and nothing like it does.
//
// Proves: IS-SUB-1, IS-SEND-4
func TestBasic(t *testing.T) {
	for _, tc := range []struct {
		rule   string
		change []func(*http.Request)
		status int
		as     string
	}{
		{"the right password", []func(*http.Request){basic("kalender", passwordShared)}, 200, "by-password example.org"},
		{"the same for another domain", []func(*http.Request){basic("kalender", passwordShared), with("Originator", "mailto:bea@branch.example")}, 200, "by-password branch.example"},
		{"the scheme in another case", []func(*http.Request){with("Authorization", "bASIC "+base64.StdEncoding.EncodeToString([]byte("kalender:"+passwordShared)))}, 200, "by-password example.org"},
		{"a domain that does not have it", []func(*http.Request){basic("kalender", passwordShared), with("Originator", "mailto:x@sender.example")}, 403, ""},
		{"another password", []func(*http.Request){basic("kalender", "wrong")}, 401, ""},
		{"no password", []func(*http.Request){basic("kalender", "")}, 401, ""},
		{"another user", []func(*http.Request){basic("Kalender", passwordShared)}, 401, ""},
		{"a token as the password", []func(*http.Request){basic("kalender", tokenOne)}, 401, ""},
		{"the password as a token", []func(*http.Request){with("Authorization", "Bearer "+passwordShared)}, 401, ""},
		{"the password's hash", []func(*http.Request){basic("kalender", hashOf(passwordShared))}, 401, ""},
		{"no base64", []func(*http.Request){with("Authorization", "Basic kalender:"+passwordShared)}, 401, ""},
		{"two fields", []func(*http.Request){basic("kalender", passwordShared), func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+tokenOne) }}, 401, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			out := &recorder{}
			w := serve(newHandler(t, out), post(tc.change...))
			if w.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tc.status, w.Body)
			}
			if tc.as != "" {
				if got := out.got[0].Submitter + " " + out.got[0].Domain.Name; got != tc.as {
					t.Errorf("taken as %s, want %s", got, tc.as)
				}
				return
			}
			challenges := w.Header().Values("WWW-Authenticate")
			if tc.status == 401 && (len(challenges) != 2 || challenges[1] != `Basic realm="calfed", charset="UTF-8"`) {
				t.Errorf("WWW-Authenticate %q", challenges)
			}
		})
	}
}

// TestBasicIsOfferedWhereItExists: clients that know only passwords must not try them in vain.
//
// Proves: IS-SUB-1
func TestBasicIsOfferedWhereItExists(t *testing.T) {
	s := config(t)
	for i := range s.Domains {
		var keep []snapshot.Submitter
		for _, who := range s.Domains[i].Submitters {
			if who.Basic == nil {
				keep = append(keep, who)
			}
		}
		s.Domains[i].Submitters = keep
	}
	a, err := snapshot.Activate(s)
	if err != nil {
		t.Fatal(err)
	}
	h, err := submission.New(submission.Config{Active: a, Sender: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := serve(h, post(with("Authorization", ""))).Header().Values("WWW-Authenticate"); len(got) != 1 {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

// TestPassword: SMTP AUTH asks for the same passwords, and draws on the same budget of failures, which a change of
// configuration does not fill up again.
//
// Proves: IS-SUB-1, IS-SUB-2
func TestPassword(t *testing.T) {
	clock, shared := time.Now(), &submission.Shared{}
	newOne := func() *submission.Handler {
		return newHandler(t, &recorder{}, func(c *submission.Config) { c.Shared, c.Now = shared, func() time.Time { return clock } })
	}
	h, here := newOne(), netip.MustParseAddr("192.0.2.7")

	acting, wait := h.Password(here, "kalender", passwordShared)
	var got []string
	for _, a := range acting {
		got = append(got, a.Name+" "+a.Domain.Name)
	}
	if diff := cmp.Diff([]string{"by-password branch.example", "by-password example.org"}, got); diff != "" || wait != 0 {
		t.Errorf("wait %v (-want +got):\n%s", wait, diff)
	}
	for _, guess := range []struct{ username, password string }{{"kalender", "x"}, {"", ""}, {"x", passwordShared}, {"kalender", tokenOne}} {
		if acting, _ := h.Password(netip.MustParseAddr("192.0.2.99"), guess.username, guess.password); len(acting) > 0 {
			t.Errorf("%q is somebody", guess)
		}
	}
	for i := range 20 {
		h.Password(here, "kalender", "guess "+string(rune('a'+i)))
	}
	for name, h := range map[string]*submission.Handler{"the same": h, "that of the next configuration": newOne()} {
		if acting, wait := h.Password(here, "kalender", passwordShared); wait <= 0 || len(acting) > 0 {
			t.Errorf("%s: a right guess after many: %v, wait %v", name, acting, wait)
		}
		if _, wait := h.Password(netip.MustParseAddr("::ffff:192.0.2.7"), "kalender", passwordShared); wait <= 0 {
			t.Errorf("%s: the same place in IPv6 spelling need not wait", name)
		}
		if w := serve(h, post()); w.Code != 429 {
			t.Errorf("%s, over HTTP from the same address: %d", name, w.Code)
		}
		if acting, wait := h.Password(netip.MustParseAddr("192.0.2.8"), "kalender", passwordShared); wait != 0 || len(acting) != 2 {
			t.Errorf("%s: a neighbour waits %v", name, wait)
		}
	}
	clock = clock.Add(time.Minute)
	if acting, wait := h.Password(here, "kalender", passwordShared); wait != 0 || len(acting) != 2 {
		t.Errorf("a minute later: %v, wait %v", acting, wait)
	}
}
