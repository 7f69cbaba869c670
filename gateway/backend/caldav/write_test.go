package caldav_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
)

const calendarOfAlice = "/dav/calendars/alice/personal/"

// Every write is conditional, answers for nobody, and is told before it leaves.
//
// Proves: IS-BACK-2, IS-SUB-3
func TestWrites(t *testing.T) {
	f := newFake(t)
	b := f.backend(t, nil)
	told := 0
	f.hook = func(_ http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method == http.MethodPut {
			want := []string{alice.String() + " " + invitation(told), alice.String() + " " + body} // the message, and what it makes
			if n := len(f.wrote); n < 2 || !slices.Equal(f.wrote[n-2:], want) {
				t.Errorf("written before it was told: %q", body)
			}
			told++
			if strings.Contains(body, "METHOD") || strings.Contains(body, "SCHEDULE-AGENT") {
				t.Errorf("stored:\n%s", body)
			}
		}
		return false
	}
	for i := range 2 {
		if got := statuses(t, b, invitation(i), carol, alice); got != "2.0" {
			t.Fatalf("invitation %d: %s", i, got)
		}
	}
	if told != 2 || len(f.objects) != 1 {
		t.Fatalf("%d writes, %d objects", told, len(f.objects))
	}
	for i, h := range f.writes {
		got := map[string]string{}
		for _, name := range []string{"Schedule-Reply", "Content-Type", "If-None-Match", "If-Match", "User-Agent", "Authorization"} {
			got[name] = h.Get(name)
		}
		want := map[string]string{
			"Schedule-Reply": "F", "Content-Type": "text/calendar; charset=utf-8", "User-Agent": "calfed/test",
			"Authorization": "Basic Z2F0ZXdheTpzZWNyZXQ=", "If-None-Match": "*", "If-Match": "",
		}
		if i == 1 {
			var path string
			for path = range f.objects {
			}
			want["If-None-Match"], want["If-Match"] = "", fmt.Sprintf(`"%s-1"`, path)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("write %d (-want +got):\n%s", i, d)
		}
	}
	if got := statuses(t, b, invitation(0), carol, alice); got != "2.0" || told != 2 {
		t.Errorf("an older message: %s after %d writes", got, told)
	}
}

// Parameters by which a sender would rule the user's calendar server do not get there: the user's own answer must leave.
//
// Proves: IS-BACK-2
func TestSchedulingParameters(t *testing.T) {
	f := newFake(t)
	b := f.backend(t, nil)
	for i := range 2 {
		body := strings.NewReplacer("ORGANIZER:", "ORGANIZER;SCHEDULE-AGENT=CLIENT;CN=Carol:", "ATTENDEE;", "ATTENDEE;SCHEDULE-AGENT=NONE;schedule-force-send=REPLY;").Replace(invitation(i))
		if got := statuses(t, b, body, carol, alice); got != "2.0" {
			t.Fatal(got)
		}
		for _, object := range f.objects {
			if strings.Contains(strings.ToUpper(object), "SCHEDULE-") || !strings.Contains(object, "ORGANIZER;CN=Carol:") {
				t.Errorf("stored:\n%s", object)
			}
		}
	}
}

// What changed in between is read again and changed again, not for ever.
//
// Proves: IS-BACK-2
func TestLostRaces(t *testing.T) {
	for _, tt := range []struct {
		name   string
		losses int
		want   string
		writes int
	}{
		{"three", 3, "2.0", 4},
		{"all", 100, "5.1", 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			path := calendarOfAlice + "mine.ics"
			f.objects[path] = asStored(invitation(0))
			lost := 0
			f.hook = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Method == http.MethodPut && lost < tt.losses {
					lost++
					f.version[path]++ // somebody else was faster
					f.objects[path] = strings.Replace(f.objects[path], "END:VEVENT", fmt.Sprintf("X-OTHER:%d\r\nEND:VEVENT", lost), 1)
				}
				return false
			}
			if got := statuses(t, f.backend(t, nil), invitation(1), carol, alice); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := len(f.requests(http.MethodPut)); got != tt.writes {
				t.Errorf("%d writes, want %d", got, tt.writes)
			}
			if tt.want == "2.0" && (!strings.Contains(f.objects[path], "X-OTHER:3") || !strings.Contains(f.objects[path], "Plan 1")) {
				t.Errorf("stored:\n%s", f.objects[path])
			}
		})
	}
}

// Without a strong entity tag there is no safe write.
//
// Proves: IS-BACK-2
func TestEntityTags(t *testing.T) {
	for _, tt := range []struct{ name, get, property, ifMatch string }{
		{"weak, strong as property", `W/"1"`, `"strong"`, `"strong"`},
		{"none, strong as property", "", `"strong"`, `"strong"`},
		{"weak everywhere", `W/"1"`, `W/"1"`, ""},
		{"none anywhere", "", "", ""},
		{"malformed", `"a" "b"`, `"a"b"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			path := calendarOfAlice + "mine.ics"
			f.objects[path] = asStored(invitation(0))
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				switch {
				case r.URL.Path == path && r.Method == http.MethodGet:
					w.Header().Set("ETag", tt.get)
					_, _ = fmt.Fprint(w, f.objects[path])
				case r.URL.Path == path && r.Method == "PROPFIND":
					multistatus(w, response(path, "<d:getetag>"+escape(tt.property)+"</d:getetag>"))
				case r.Method == http.MethodPut:
					w.WriteHeader(http.StatusNoContent)
				default:
					return false
				}
				return true
			}
			want := "2.0"
			if tt.ifMatch == "" {
				want = "5.1"
			}
			if got := statuses(t, f.backend(t, nil), invitation(1), carol, alice); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			switch {
			case tt.ifMatch == "" && len(f.writes) != 0:
				t.Errorf("written without a condition: %v", f.writes)
			case tt.ifMatch != "" && (len(f.writes) != 1 || f.writes[0].Get("If-Match") != tt.ifMatch):
				t.Errorf("written: %v", f.writes)
			}
		})
	}
}

// Each answer to a write means what it means.
//
// Proves: IS-BACK-2, IS-STAT-1
func TestAnswersToWrites(t *testing.T) {
	condition := func(name string) string {
		return `<d:error xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><c:` + name + `><d:href>/dav/calendars/alice/other/there.ics</d:href></c:` + name + `></d:error>`
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
		log    string
	}{
		{"no privilege", 403, `<d:error xmlns:d="DAV:"><d:need-privileges><d:resource><d:href>/x</d:href><d:privilege><d:bind/></d:privilege></d:resource></d:need-privileges></d:error>`, "5.3", "bind"},
		{"forbidden without a reason", 403, "", "5.3", "forbids"},
		{"a condition about the event", 403, condition("max-resource-size"), "3.14", "max-resource-size"},
		{"not readable for the server", 400, "", "3.14", "400"},
		{"unsupported media type", 415, "", "3.14", "415"},
		{"moved", 301, "", "5.1", "redirects"},
		{"an odd one", 418, "", "5.1", "418"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Method != http.MethodPut {
					return false
				}
				w.Header().Set("Location", "/dav/calendars/bob/personal/there.ics")
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprint(w, tt.body)
				return true
			}
			if got := statuses(t, f.backend(t, nil), invitation(0), carol, alice); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if log := f.logged.String(); !strings.Contains(log, tt.log) || strings.Contains(log, "alice") || strings.Contains(log, "secret") {
				t.Errorf("log: %s", log)
			}
			if n := len(f.requests(http.MethodPut)); n != 1 {
				t.Errorf("%d writes", n)
			}
		})
	}
	t.Run("there is one with that UID elsewhere", func(t *testing.T) {
		f := newFake(t)
		f.objects["/dav/calendars/alice/other/there.ics"] = asStored(invitation(0))
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, calendarOfAlice) {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, condition("unique-scheduling-object-resource"))
			return true
		}
		if got := statuses(t, f.backend(t, nil), invitation(1), carol, alice); got != "2.0" {
			t.Error(got)
		}
		if object := f.objects["/dav/calendars/alice/other/there.ics"]; !strings.Contains(object, "Plan 1") {
			t.Errorf("stored:\n%s", object)
		}
	})
}

// A server that may come back is told from one that refuses; one recipient's trouble is not another's.
//
// Proves: IS-BACK-2, IS-STAT-1
func TestUnavailable(t *testing.T) {
	for _, status := range []int{401, 408, 423, 429, 500, 502, 503, 507} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			f := newFake(t)
			b := f.backend(t, nil)
			refuse := func(method, user string) func(http.ResponseWriter, *http.Request, string) bool {
				return func(w http.ResponseWriter, r *http.Request, _ string) bool {
					if r.Method != method || !strings.Contains(r.URL.Path, user) {
						return false
					}
					w.WriteHeader(status)
					return true
				}
			}
			f.hook = refuse("PROPFIND", "")
			if _, err := b.Deliver(context.Background(), delivery(t, invitation(0), carol, alice, bob)); !errors.Is(err, backend.ErrUnavailable) {
				t.Errorf("error %v", err)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
			if log := f.logged.String(); (status == 401) != strings.Contains(log, "level=ERROR") {
				t.Errorf("log: %s", log)
			}
			f.hook = refuse(http.MethodPut, "bob")
			if got := statuses(t, b, invitation(0), carol, alice, bob); got != "2.0 5.1" {
				t.Errorf("for one of two: %s", got)
			}
		})
	}
	f := newFake(t)
	f.hook = func(http.ResponseWriter, *http.Request, string) bool { panic(http.ErrAbortHandler) }
	if _, err := f.backend(t, nil).Deliver(context.Background(), delivery(t, invitation(0), carol, alice)); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("connection closed: %v", err)
	}
}
