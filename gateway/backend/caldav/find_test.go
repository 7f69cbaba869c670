package caldav_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The object with the message's UID is found wherever it is, by its UID and not by a part of it; several count as the first
// of the default calendar.
//
// Proves: IS-BACK-2
func TestFind(t *testing.T) {
	const other = "/dav/calendars/alice/work/"
	second := response(other, "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>")
	stored := asStored(invitation(0))
	for _, tt := range []struct {
		name    string
		objects map[string]string
		changed string
	}{
		{"another UID that begins alike", map[string]string{calendarOfAlice + "x.ics": strings.Replace(stored, "meeting-1@sender.example", "meeting-1@sender.example2", 1)}, ""},
		{"in another calendar", map[string]string{other + "x.ics": stored}, other + "x.ics"},
		{"in both", map[string]string{other + "x.ics": stored, calendarOfAlice + "y.ics": stored}, calendarOfAlice + "y.ics"},
		{"folded", map[string]string{other + "x.ics": strings.Replace(stored, "UID:meeting-1@", "UID;X-A=b:meet\r\n ing-1@", 1)}, other + "x.ics"},
		{"the UID of an alarm", map[string]string{other + "x.ics": strings.NewReplacer("UID:meeting-1@sender.example", "UID:else", "BEGIN:VEVENT", "BEGIN:VEVENT\r\nBEGIN:VALARM\r\nUID:meeting-1@sender.example\r\nACTION:AUDIO\r\nTRIGGER:PT0M\r\nEND:VALARM").Replace(stored)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.homeMore = second
			for path, object := range tt.objects {
				f.objects[path] = object
			}
			if got := statuses(t, f.backend(t, nil), invitation(1), carol, alice); got != "2.0" {
				t.Fatal(got)
			}
			var changed, fresh []string
			for path, object := range f.objects {
				switch old, was := tt.objects[path]; {
				case !was:
					fresh = append(fresh, path)
				case old != object:
					changed = append(changed, path)
				}
			}
			if tt.changed != "" {
				if d := cmp.Diff([]string{tt.changed}, changed); d != "" || len(fresh) != 0 {
					t.Errorf("changed (-want +got):\n%s new: %v", d, fresh)
				}
			} else if len(changed) != 0 || len(fresh) != 1 || !strings.HasPrefix(fresh[0], calendarOfAlice) {
				t.Errorf("changed %v, new %v", changed, fresh)
			}
			if several := strings.Contains(f.logged.String(), "several objects"); several != (len(tt.objects) > 1) {
				t.Errorf("log: %s", f.logged.String())
			}
		})
	}
}

// What a server's index does not know yet is found where we would have written it.
//
// Proves: IS-BACK-2
func TestIndexBehind(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == "REPORT" {
			multistatus(w, "")
		}
		return r.Method == "REPORT"
	}
	b := f.backend(t, nil)
	for i := range 2 {
		if got := statuses(t, b, invitation(i), carol, alice); got != "2.0" {
			t.Fatalf("invitation %d: %s", i, got)
		}
	}
	if len(f.objects) != 1 {
		t.Errorf("stored: %v", f.objects)
	}
	for path, object := range f.objects {
		if !strings.Contains(object, "Plan 1") || strings.Contains(path, "meeting") {
			t.Errorf("stored at %s:\n%s", path, object)
		}
	}
	if n := len(f.requests(http.MethodPut)); n != 2 {
		t.Errorf("%d writes", n)
	}
}

// A REFRESH is owed the object as it stands, and changes nothing.
//
// Proves: IS-BACK-4
func TestRefresh(t *testing.T) {
	f := newFake(t)
	own := strings.NewReplacer("ORGANIZER:mailto:carol@sender.example", "ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice@example.org",
		"ATTENDEE;PARTSTAT=TENTATIVE:mailto:carol@sender.example")
	f.objects[calendarOfAlice+"x.ics"] = own.Replace(asStored(invitation(3)))
	refresh := ics("METHOD:REFRESH", "BEGIN:VEVENT", "UID:meeting-1@sender.example", "DTSTAMP:20261122T110000Z",
		"ORGANIZER:mailto:alice@example.org", "ATTENDEE:mailto:carol@sender.example", "END:VEVENT")
	results, err := f.backend(t, nil).Deliver(context.Background(), delivery(t, refresh, carol, alice))
	if err != nil {
		t.Fatal(err)
	}
	answer := string(results[0].Respond)
	if results[0].Status.Code != "2.0" || !strings.Contains(answer, "METHOD:REQUEST\r\n") || !strings.Contains(answer, "SUMMARY:Plan 3\r\n") {
		t.Errorf("%v\n%s", results[0].Status, answer)
	}
	if len(f.writes) != 0 {
		t.Errorf("written: %v", f.writes)
	}
}
