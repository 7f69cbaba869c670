package caldav_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// An address becomes one escaped path segment, or nobody's.
//
// Proves: IS-BACK-3
func TestPrincipalTemplate(t *testing.T) {
	for _, tt := range []struct{ template, address, asked string }{
		{"/dav/users/{local}/", "mailto:alice@example.org", "/dav/users/alice/"},
		{"/dav/users/{address}", "mailto:alice@EXAMPLE.org", "/dav/users/alice@example.org"},
		{"/{local}/of/{address}/", "alice@example.org", "/alice/of/alice@example.org/"},
		{"/dav/users/{local}/", "mailto:a%3Fb%23c@example.org", "/dav/users/a%3Fb%23c/"},
		{"/dav/users/{local}/", "mailto:a%25b@example.org", "/dav/users/a%25b/"},
		{"/dav/users/{local}/", "mailto:a/b@example.org", ""},
		{"/dav/users/{address}/", "mailto:a%2Fb@example.org", ""},
		{"/dav/users/{local}/", "mailto:.@example.org", ""},
		{"/dav/users/{local}/", "mailto:..@example.org", ""},
		{"/dav/users/{local}/", "mailto:%2e%2e@example.org", ""},
		{"/dav/users/{local}/", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ""},
		{"/dav/users/{local}/", "https://example.org/alice", ""},
	} {
		t.Run(tt.address, func(t *testing.T) {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			a, err := cua.Parse(tt.address)
			if err != nil {
				return // never reaches a back end
			}
			b := f.backend(t, func(s *snapshot.CalDAV) { s.PrincipalTemplate = tt.template })
			if got := statuses(t, b, invitation(0), carol, a); got != "3.7" {
				t.Errorf("%s", got)
			}
			var want []string
			if tt.asked != "" {
				want = []string{"PROPFIND " + tt.asked}
			}
			if d := cmp.Diff(want, f.requests()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A principal counts when one of its mail addresses is the recipient's; only where the server knows none by profile does the
// template decide.
//
// Proves: IS-BACK-3
func TestAddressSet(t *testing.T) {
	for _, tt := range []struct {
		name      string
		profile   snapshot.CalDAVProfile
		recipient string
		addresses string
		want      string
	}{
		{"its own", snapshot.ProfileSabreDAV, "alice@example.org", "mailto:ALICE%40nope mailto:alice@EXAMPLE.org", "2.0"},
		{"an alias", snapshot.ProfileSabreDAV, "alias@example.org", "mailto:alice@example.org mailto:alias@example.org", "2.0"},
		{"another's", snapshot.ProfileSabreDAV, "alice@example.org", "mailto:bob@example.org", "3.7"},
		{"none", snapshot.ProfileSabreDAV, "alice@example.org", "/dav/users/alice/ https://example.org/alice", "3.7"},
		{"none, Radicale", snapshot.ProfileRadicale, "alice@example.org", "/dav/users/alice/", "2.0"},
		{"another's, Radicale", snapshot.ProfileRadicale, "alice@example.org", "mailto:bob@example.org", "3.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			set := ""
			for a := range strings.FieldsSeq(tt.addresses) {
				set += "<d:href>" + a + "</d:href>"
			}
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if !strings.HasPrefix(r.URL.Path, "/dav/users/") {
					return false
				}
				multistatus(w, response(r.URL.Path, "<c:calendar-home-set><d:href>/dav/calendars/alice/</d:href></c:calendar-home-set><c:calendar-user-address-set>"+set+"</c:calendar-user-address-set>"))
				return true
			}
			a := cua.MustParse(tt.recipient)
			body := strings.ReplaceAll(invitation(0), "alice@example.org", tt.recipient)
			if got := statuses(t, f.backend(t, func(s *snapshot.CalDAV) { s.Profile = tt.profile }), body, carol, a); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// What a search proposes is held against the address; matches of parts do not count.
//
// Proves: IS-BACK-3
func TestSearch(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != "REPORT" || !strings.Contains(body, "principal-property-search") {
			return false
		}
		multistatus(w, f.principal("bob")+f.principal("alice")+f.principal("alice"))
		return true
	}
	b := f.backend(t, func(s *snapshot.CalDAV) { s.PrincipalTemplate = "" })
	if got := statuses(t, b, invitation(0), carol, alice, cua.MustParse("mailto:lic@example.org")); got != "2.0 3.7" {
		t.Error(got)
	}
	for path := range f.objects {
		if !strings.HasPrefix(path, calendarOfAlice) {
			t.Errorf("written: %s", path)
		}
	}
	if f.requests("REPORT")[0] != "REPORT /dav/users/" {
		t.Errorf("asked: %v", f.requests("REPORT"))
	}
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == "REPORT" {
			multistatus(w, f.principal("alice")+f.principal("alice")+strings.ReplaceAll(f.principal("bob"), "bob.alias@", "alice@"))
		}
		return r.Method == "REPORT"
	}
	if got := statuses(t, f.backend(t, func(s *snapshot.CalDAV) { s.PrincipalTemplate = "" }), invitation(0), carol, alice); got != "5.3" || !strings.Contains(f.logged.String(), "several principals") {
		t.Errorf("two claim the address: %s, log %s", got, f.logged.String())
	}
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == "REPORT" {
			w.WriteHeader(http.StatusNotImplemented)
		}
		return r.Method == "REPORT"
	}
	if got := statuses(t, f.backend(t, func(s *snapshot.CalDAV) { s.PrincipalTemplate = "" }), invitation(0), carol, alice); got != "5.3" || !strings.Contains(f.logged.String(), "principalTemplate") {
		t.Errorf("no search: %s, log %s", got, f.logged.String())
	}
}

// Users that were found are known for five minutes, unknown ones for half a minute; a refusal makes us ask again.
//
// Proves: IS-BACK-3
func TestDirectory(t *testing.T) {
	f := newFake(t)
	b := f.backend(t, nil)
	nobody := cua.MustParse("mailto:nobody@example.org")
	asked := func(user string) int {
		n := 0
		for _, r := range f.requests("PROPFIND") {
			if r == "PROPFIND /dav/users/"+user+"/" {
				n++
			}
		}
		return n
	}
	after := func(d time.Duration) {
		t.Helper()
		f.mu.Lock()
		f.clock = start.Add(d)
		f.mu.Unlock()
		if got := statuses(t, b, invitation(0), carol, alice, nobody); got != "2.0 3.7" {
			t.Fatal(got)
		}
	}
	for _, step := range []struct {
		after         time.Duration
		alice, nobody int
	}{{0, 1, 1}, {29 * time.Second, 1, 1}, {30 * time.Second, 1, 2}, {299 * time.Second, 1, 3}, {300 * time.Second, 2, 3}} {
		if after(step.after); asked("alice") != step.alice || asked("nobody") != step.nobody {
			t.Errorf("after %v: asked %d and %d times, want %d and %d", step.after, asked("alice"), asked("nobody"), step.alice, step.nobody)
		}
	}
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.URL.Path == "/dav/calendars/alice/" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	if got := statuses(t, b, invitation(0), carol, alice); got != "5.3" {
		t.Errorf("forbidden: %s", got)
	}
	f.hook = nil
	if got := statuses(t, b, invitation(0), carol, alice); got != "2.0" || asked("alice") != 3 {
		t.Errorf("after a refusal: %s, asked %d times", got, asked("alice"))
	}
}

// The default calendar is the Inbox's, else the likeliest by name; shared ones are not the user's, nor do tasks go where only events do.
//
// Proves: IS-BACK-2
func TestDefaultCalendar(t *testing.T) {
	cal := func(name, more string) string {
		return response("/dav/calendars/alice/"+name+"/", "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"+more)
	}
	inbox := func(named string) string {
		return response("/dav/calendars/alice/inbox/", "<d:resourcetype><d:collection/><c:schedule-inbox/></d:resourcetype><c:schedule-default-calendar-URL><d:href>"+named+"</d:href></c:schedule-default-calendar-URL>")
	}
	only := func(kind string) string {
		return `<c:supported-calendar-component-set><c:comp name="` + kind + `"/></c:supported-calendar-component-set>`
	}
	var many strings.Builder
	for i := range 150 {
		many.WriteString(cal(fmt.Sprintf("c%d", i), ""))
	}
	bobs := "<d:owner><d:href>/dav/users/bob/</d:href></d:owner>"
	for _, tt := range []struct{ name, home, want string }{
		{"named by the Inbox", cal("personal", "") + cal("chosen", "") + inbox("/dav/calendars/alice/chosen/"), "chosen"},
		{"the likeliest name", cal("a", "") + cal("personal", "") + cal("b", ""), "personal"},
		{"the first", cal("b", "") + cal("a", ""), "b"},
		{"tasks go elsewhere", cal("personal", only("VTODO")) + cal("events", only("VEVENT")), "events"},
		{"shared by bob", cal("personal", bobs) + cal("mine", "<d:owner><d:href>/dav/users/alice</d:href></d:owner>"), "mine"},
		{"shared, as SabreDAV says it", strings.Replace(cal("personal", ""), "<c:calendar/>", `<c:calendar/><s:shared xmlns:s="http://calendarserver.org/ns/"/>`, 1) + cal("mine", ""), "mine"},
		{"behind a hundred others", many.String() + cal("personal", ""), "personal"},
		{"one elsewhere that is no calendar", strings.Replace(response("https://elsewhere.example/", ""), "<d:prop>", "<d:prop><d:resourcetype><d:collection/></d:resourcetype>", 1) + cal("personal", ""), "personal"},
		{"none takes events", cal("personal", only("VTODO")), ""},
		{"there is none", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.URL.Path == "/dav/calendars/alice/" {
					multistatus(w, tt.home)
					return true
				}
				return false
			}
			status, want := "2.0", []string(nil)
			if tt.want == "" {
				status = "3.14"
			}
			if got := statuses(t, f.backend(t, nil), invitation(0), carol, alice); got != status {
				t.Errorf("%s, want %s", got, status)
			}
			for path := range f.objects {
				want = append(want, strings.Split(path, "/")[4])
			}
			if got := strings.Join(want, " "); got != tt.want {
				t.Errorf("stored in %q", got)
			}
		})
	}
}

// What cannot work is refused at once, without telling credentials.
//
// Proves: IS-BACK-1, IS-BACK-3
func TestNew(t *testing.T) {
	for _, server := range []snapshot.CalDAV{
		{URL: "https://u:secret@cal.example/", Profile: snapshot.ProfileCyrus},
		{URL: "ftp://cal.example/", Profile: snapshot.ProfileCyrus},
		{URL: "http://secret\x7f", Profile: snapshot.ProfileCyrus},
		{URL: "https://cal.example/?x", Profile: snapshot.ProfileCyrus},
		{URL: "https://cal.example/", Profile: "Other"},
		{URL: "https://cal.example/", Profile: snapshot.ProfileRadicale},
		{URL: "https://cal.example/", Profile: snapshot.ProfileCyrus, PrincipalTemplate: "users/{local}"},
	} {
		if _, err := caldav.New(caldav.Config{Server: server, Guard: netguard.New(netguard.Config{})}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", server.URL, err)
		}
	}
}
