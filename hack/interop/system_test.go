//go:build interop

package interop

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// system is one calendar server, as its users reach it by CalDAV.
type system struct {
	kind   string // Cyrus, DAViCal or Radicale
	domain string // of its users' addresses
	base   string // URL
}

func (s *system) address(user string) string { return user + "@" + s.domain }

func (s *system) login(user string) login {
	if s.kind == "Cyrus" {
		return login{s.address(user), "pw" + user}
	}
	return login{user, "pw" + user}
}

// calendar is the URL of the user's calendar.
func (s *system) calendar(user string) string {
	switch s.kind {
	case "Cyrus":
		return s.base + "/dav/calendars/user/" + s.address(user) + "/Default/"
	case "DAViCal":
		return s.base + "/caldav.php/" + user + "/calendar/"
	}
	return s.base + "/" + user + "/calendar/"
}

// object is a calendar object as it is stored.
type object struct {
	url, etag string
	data      string // with LF
}

// put stores the object as the user's client would: conditionally, when it knows what is there.
func (r *rig) put(t *testing.T, s *system, user string, o *object) {
	t.Helper()
	header := []string{"Content-Type", "text/calendar; charset=utf-8", "If-None-Match", "*"}
	if o.etag != "" {
		header[2], header[3] = "If-Match", o.etag
	}
	status, body := r.dav(s.login(user), http.MethodPut, o.url, strings.ReplaceAll(o.data, "\n", "\r\n"), header...)
	if status != http.StatusCreated && status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("PUT %s: %d\n%s", o.url, status, body)
	}
}

func (r *rig) remove(t *testing.T, s *system, user string, o *object) {
	t.Helper()
	status, body := r.dav(s.login(user), http.MethodDelete, o.url, "", "If-Match", o.etag)
	if status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("DELETE %s: %d\n%s", o.url, status, body)
	}
}

// find reads the object with the UID from the user's calendar; nil when there is none.
func (r *rig) find(t *testing.T, s *system, user, uid string) *object {
	t.Helper()
	query := `<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:prop-filter name="UID">
<C:text-match collation="i;octet">` + uid + `</C:text-match></C:prop-filter></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`
	status, body := r.dav(s.login(user), "REPORT", s.calendar(user), query, "Depth", "1", "Content-Type", "application/xml")
	if status != http.StatusMultiStatus {
		t.Fatalf("REPORT %s: %d\n%s", s.calendar(user), status, body)
	}
	var found struct {
		Responses []struct {
			Href string `xml:"DAV: href"`
			ETag string `xml:"DAV: propstat>prop>getetag"`
			Data string `xml:"propstat>prop>calendar-data"`
		} `xml:"DAV: response"`
	}
	if err := xml.Unmarshal([]byte(body), &found); err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	var objects []*object
	base, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range found.Responses {
		if answer.Data == "" {
			continue
		}
		href, err := base.Parse(answer.Href)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &object{href.String(), answer.ETag, strings.ReplaceAll(answer.Data, "\r\n", "\n")})
	}
	switch len(objects) {
	case 0:
		return nil
	case 1:
		return objects[0]
	}
	t.Fatalf("%d objects with UID %s in %s", len(objects), uid, s.calendar(user))
	return nil
}
