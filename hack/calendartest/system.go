package calendartest

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// System is one calendar server, as its users reach it by CalDAV.
type System struct {
	Kind   string // Cyrus, DAViCal or Radicale
	Domain string // of its users' addresses
	Base   string // URL
}

// Address of a user.
func (s *System) Address(user string) string { return user + "@" + s.Domain }

// Login is how a user is known to the server.
func (s *System) Login(user string) Login {
	if s.Kind == "Cyrus" {
		return Login{s.Address(user), "pw" + user}
	}
	return Login{user, "pw" + user}
}

// Calendar is the URL of the user's calendar.
func (s *System) Calendar(user string) string {
	switch s.Kind {
	case "Cyrus":
		return s.Base + "/dav/calendars/user/" + s.Address(user) + "/Default/"
	case "DAViCal":
		return s.Base + "/caldav.php/" + user + "/calendar/"
	}
	return s.Base + "/" + user + "/calendar/"
}

// Login is a user of a CalDAV server.
type Login struct{ Name, Password string }

// Object is a calendar object as it is stored.
type Object struct {
	URL, ETag string
	Data      string // with LF
}

// DAV makes one CalDAV request as the user. Header is name, value pairs.
func DAV(t testing.TB, as Login, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(as.Name, as.Password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// Put stores the object as the user's client would: conditionally, when it knows what is there.
func (s *System) Put(t testing.TB, user string, o *Object) {
	t.Helper()
	header := []string{"Content-Type", "text/calendar; charset=utf-8", "If-None-Match", "*"}
	if o.ETag != "" {
		header[2], header[3] = "If-Match", o.ETag
	}
	status, body := DAV(t, s.Login(user), http.MethodPut, o.URL, strings.ReplaceAll(o.Data, "\n", "\r\n"), header...)
	if status != http.StatusCreated && status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("PUT %s: %d\n%s", o.URL, status, body)
	}
}

// Remove deletes it.
func (s *System) Remove(t testing.TB, user string, o *Object) {
	t.Helper()
	status, body := DAV(t, s.Login(user), http.MethodDelete, o.URL, "", "If-Match", o.ETag)
	if status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("DELETE %s: %d\n%s", o.URL, status, body)
	}
}

// Find reads the object with the UID from the user's calendar; nil when there is none.
func (s *System) Find(t testing.TB, user, uid string) *Object {
	t.Helper()
	query := `<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:prop-filter name="UID">
<C:text-match collation="i;octet">` + uid + `</C:text-match></C:prop-filter></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`
	status, body := DAV(t, s.Login(user), "REPORT", s.Calendar(user), query, "Depth", "1", "Content-Type", "application/xml")
	if status != http.StatusMultiStatus {
		t.Fatalf("REPORT %s: %d\n%s", s.Calendar(user), status, body)
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
	var objects []*Object
	base, err := url.Parse(s.Base)
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
		objects = append(objects, &Object{href.String(), answer.ETag, strings.ReplaceAll(answer.Data, "\r\n", "\n")})
	}
	switch len(objects) {
	case 0:
		return nil
	case 1:
		return objects[0]
	}
	t.Fatalf("%d objects with UID %s in %s", len(objects), uid, s.Calendar(user))
	return nil
}
