package caldav_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/backend/caldav"
)

// Credentials and calendar data stay on the configured origin, wherever the server points.
//
// Proves: IS-BACK-3
func TestOrigin(t *testing.T) {
	var stolen int
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stolen++
		w.WriteHeader(http.StatusNotFound)
	}))
	defer thief.Close()
	places := map[string]func(f *fake, w http.ResponseWriter, r *http.Request, to string) bool{
		"home": func(_ *fake, w http.ResponseWriter, r *http.Request, to string) bool {
			if !strings.HasPrefix(r.URL.Path, "/dav/users/") {
				return false
			}
			multistatus(w, response(r.URL.Path, "<c:calendar-home-set><d:href>"+to+"</d:href></c:calendar-home-set><c:calendar-user-address-set><d:href>mailto:alice@example.org</d:href></c:calendar-user-address-set>"))
			return true
		},
		"calendar": func(_ *fake, w http.ResponseWriter, r *http.Request, to string) bool {
			if r.URL.Path != "/dav/calendars/alice/" {
				return false
			}
			multistatus(w, response(to, "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"))
			return true
		},
		"object": func(_ *fake, w http.ResponseWriter, r *http.Request, to string) bool {
			if r.Method != "REPORT" {
				return false
			}
			multistatus(w, response(to, "<c:calendar-data>"+escape(asStored(invitation(0)))+"</c:calendar-data>"))
			return true
		},
		"redirect": func(_ *fake, w http.ResponseWriter, r *http.Request, to string) bool {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		},
		"conflict": func(_ *fake, w http.ResponseWriter, r *http.Request, to string) bool {
			if r.Method != http.MethodPut {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<d:error xmlns:d="DAV:"><x:no-uid-conflict xmlns:x="urn:ietf:params:xml:ns:caldav"><d:href>`+to+`</d:href></x:no-uid-conflict></d:error>`)
			return true
		},
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			host := strings.TrimPrefix(f.url, "http://")
			for _, to := range []string{thief.URL + "/x/", "//" + strings.TrimPrefix(thief.URL, "http://") + "/x/", "http://127.0.0.2" + host[strings.IndexByte(host, ':'):] + "/x/", "https://" + host + "/x/", "http://u:p@" + host + "/x/", "mailto:x@example.org", "http://%zz/", "", strings.Repeat("/x", 3000)} {
				f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool { return place(f, w, r, to) }
				if to == "" && name == "conflict" {
					continue // names nothing: a plain 403
				}
				want := "5.1"
				if to == "" && name == "home" {
					want = "5.3" // a user without calendars
				}
				if got := statuses(t, f.backend(t, nil), invitation(1), carol, alice); got != want {
					t.Errorf("%q: %s, want %s", to, got, want)
				}
			}
			if stolen != 0 {
				t.Errorf("asked another origin %d times", stolen)
			}
			for _, h := range f.writes {
				if name != "conflict" {
					t.Errorf("written: %v", h)
				}
			}
		})
	}
}

// Redirects on the same origin are followed where nothing changes, and not for ever.
//
// Proves: IS-BACK-3
func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		hops int
		want string
	}{{1, "2.0"}, {3, "2.0"}, {4, "5.1"}} {
		t.Run(fmt.Sprint(tt.hops), func(t *testing.T) {
			f := newFake(t)
			left := tt.hops
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Header.Get("Authorization") == "" {
					t.Errorf("%s without credentials", r.URL)
				}
				if r.URL.Path != "/dav/users/alice/" || left == 0 {
					return false
				}
				left--
				w.Header().Set("Location", "/dav/users/alice/")
				w.WriteHeader(http.StatusMovedPermanently)
				return true
			}
			if got := statuses(t, f.backend(t, nil), invitation(0), carol, alice); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Documents made to cost or to trick end the delivery for that recipient, soon.
//
// Proves: IS-BACK-3
func TestDocuments(t *testing.T) {
	const head = `<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">`
	for name, document := range map[string]string{
		"a DTD":               `<!DOCTYPE d [<!ENTITY e "x">]>` + head + "</d:multistatus>",
		"nested":              head + strings.Repeat("<d:x>", 40) + strings.Repeat("</d:x>", 40) + "</d:multistatus>",
		"many elements":       head + strings.Repeat("<d:x/>", 200_000) + "</d:multistatus>",
		"a tag of a megabyte": head + "<d:x " + strings.Repeat(`a="" `, 200_000) + "/></d:multistatus>",
		"quoted angles":       head + `<d:x a=">" ` + strings.Repeat(`a="" `, 200_000) + "/></d:multistatus>",
		"too large":           head + strings.Repeat("x", 17<<20) + "</d:multistatus>",
		"cut off":             head + "<d:response>",
		"another root":        `<d:multistatus xmlns:d="DAV-NOT:"/>`,
		"no XML":              "<html><p>welcome",
		"nothing":             "",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Method != "REPORT" {
					return false
				}
				w.WriteHeader(http.StatusMultiStatus)
				_, _ = io.WriteString(w, document)
				return true
			}
			began := time.Now()
			if got := statuses(t, f.backend(t, nil), invitation(0), carol, alice); got != "5.1" {
				t.Errorf("%s", got)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if len(f.writes) != 0 {
				t.Errorf("written: %v", f.writes)
			}
		})
	}
}

// Whatever a document is, reading it ends, and what is read is bounded.
//
// Proves: IS-BACK-3, IS-BACK-5
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">` + response("/a.ics", `<d:getetag>"1"</d:getetag><c:calendar-data><![CDATA[BEGIN:VCALENDAR]]></c:calendar-data>`) + "</d:multistatus>"))
	f.Add([]byte(`<c:schedule-response xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><c:response><c:recipient><d:href>mailto:a@example.org</d:href></c:recipient><c:request-status>2.0;Success</c:request-status></c:response></c:schedule-response>`))
	f.Add([]byte(`<d:error xmlns:d="DAV:"><d:need-privileges><d:resource><d:href>/x</d:href><d:privilege><d:bind/></d:privilege></d:resource></d:need-privileges></d:error>`))
	f.Add([]byte("<?xml version='1.0'?><!-- > --><a b='>'/><"))
	f.Add([]byte("<>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		responses, condition := caldav.ReadDocuments(document)
		if responses > len(document) || len(condition) > 64 {
			t.Errorf("%d responses, condition %q", responses, condition)
		}
	})
}
