package ischedule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/backend"
	backendischedule "github.com/calfed/calfed/gateway/backend/ischedule"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const body = "BEGIN:VCALENDAR\r\nX-AS-IT:came\r\nEND:VCALENDAR\r\n"

// delivery is a message whose calendar object spells the guest's address in its own way.
func delivery() *backend.Delivery {
	return &backend.Delivery{
		MessageID:   "id-1",
		Originator:  cua.MustParse("mailto:boss@SENDER.example"),
		Recipients:  []cua.Address{cua.MustParse("guest@gw.example"), cua.MustParse("mailto:other@gw.example")},
		ContentType: "text/calendar; charset=utf-8; component=VEVENT; method=REQUEST",
		Body:        []byte(body),
		Message: &itip.Message{
			Method: "REQUEST", Component: "VEVENT", Organizer: cua.MustParse("mailto:boss@sender.example"),
			Attendees: []cua.Address{cua.MustParse("mailto:guest@GW.example"), cua.MustParse("MAILTO:other@gw.example")},
		},
	}
}

// server runs a calendar server and a Backend that posts to it.
func server(t *testing.T, path string, h http.HandlerFunc) *backendischedule.Backend {
	t.Helper()
	s := httptest.NewServer(h)
	guard := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	b, err := backendischedule.New(snapshot.ISchedule{URL: s.URL + path}, guard, "calfed/test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		s.Close()
	})
	return b
}

// answer writes one response element per "recipient status".
func answer(pairs ...string) string {
	r := ischedule.Response{}
	for _, p := range pairs {
		recipient, code, _ := strings.Cut(p, " ")
		status, err := ischedule.ParseRequestStatus(code)
		if err != nil {
			panic(err)
		}
		r.Results = append(r.Results, ischedule.RecipientResult{Recipient: recipient, Status: status})
	}
	return string(r.Marshal())
}

func codes(results []backend.Result) []string {
	var out []string
	for _, r := range results {
		out = append(out, r.Recipient.String()+" "+r.Status.Code)
	}
	return out
}

// The request is the iSchedule form, unsigned, with the body as it came and addresses as the object spells them.
//
// Proves: IS-BACK-1, IS-RECV-11, IS-ADDR-1
func TestRequest(t *testing.T) {
	var got http.Header
	var gotBody []byte
	b := server(t, "/ischedule", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		gotBody, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, answer("mailto:guest@gw.example 2.0", "mailto:other@gw.example 2.0"))
	})
	if _, err := b.Deliver(context.Background(), delivery()); err != nil {
		t.Fatal(err)
	}
	got.Del("Accept-Encoding")
	got.Del("Content-Length")
	want := http.Header{
		"Ischedule-Version":    {"1.0"},
		"Ischedule-Message-Id": {"id-1"},
		"Originator":           {"mailto:boss@sender.example"},
		"Recipient":            {"mailto:guest@GW.example,MAILTO:other@gw.example"},
		"Content-Type":         {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
		"Cache-Control":        {"no-cache, no-transform"},
		"User-Agent":           {"calfed/test"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("header (-want +got):\n%s", d)
	}
	if string(gotBody) != body {
		t.Errorf("body changed: %q", gotBody)
	}
}

// Content-Type gets its parameters where the sender left them out.
//
// Proves: IS-BACK-1
func TestContentTypeParameters(t *testing.T) {
	var got string
	b := server(t, "", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Content-Type")
		_, _ = io.WriteString(w, answer())
	})
	d := delivery()
	d.ContentType = "text/calendar"
	if _, err := b.Deliver(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	if want := "text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"; got != want {
		t.Errorf("Content-Type %q, want %q", got, want)
	}
}

// Answers are read per recipient.
//
// Proves: IS-BACK-1, IS-STAT-1
func TestAnswers(t *testing.T) {
	const guest, other = "guest@gw.example", "mailto:other@gw.example"
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   []string
	}{
		{"in any order", 200, answer("mailto:other@gw.example 3.7", "mailto:guest@gw.example 2.0"), []string{guest + " 2.0", other + " 3.7"}},
		{"without mailto:", 200, answer("other@gw.example 2.0", "guest@gw.example 2.0"), []string{guest + " 2.0", other + " 2.0"}},
		{"in another case", 200, answer("MAILTO:OTHER@GW.EXAMPLE 2.0", "Guest@gw.example 2.0"), []string{guest + " 2.0", other + " 2.0"}},
		{"nobody asked for", 200, answer("eve@gw.example 2.0", "guest@gw.example 2.0", "other@gw.example 3.8"), []string{guest + " 2.0", other + " 3.8"}},
		{"one is missing", 200, answer("guest@gw.example 2.0"), []string{guest + " 2.0", other + " 5.1"}},
		{"the first of two counts", 200, answer("guest@gw.example 3.7", "guest@gw.example 2.0", "other@gw.example 2.0"), []string{guest + " 3.7", other + " 2.0"}},
		{"no schedule-response", 200, "<html/>", []string{guest + " 5.1", other + " 5.1"}},
		{"error: denied", 403, errorDocument("originator-denied"), []string{guest + " 3.8", other + " 3.8"}},
		{"error: unknown users", 400, errorDocument("recipient-missing"), []string{guest + " 3.7", other + " 3.7"}},
		{"error: unsupported", 403, errorDocument("invalid-scheduling-message"), []string{guest + " 3.14", other + " 3.14"}},
		{"error: we are not trusted", 403, errorDocument("verification-failed"), []string{guest + " 5.3", other + " 5.3"}},
		{"error document with status 200", 200, errorDocument("max-instances"), []string{guest + " 3.14", other + " 3.14"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := server(t, "", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			got, err := b.Deliver(context.Background(), delivery())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, codes(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func errorDocument(name string) string {
	return fmt.Sprintf("<error xmlns=%q><%s/></error>", ischedule.Namespace, name)
}

// What may go away is told from what a person has to look at.
//
// Proves: IS-BACK-1, IS-RECV-2
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name      string
		handler   http.HandlerFunc
		transient bool
	}{
		{"5xx", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true},
		{"429", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, true},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"wrong path", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, false},
		{"redirect to another host", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.2:9/ischedule")
			w.WriteHeader(http.StatusMovedPermanently)
		}, false},
		{"redirect to another scheme", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://"+r.Host+"/ischedule")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, false},
		{"redirect without an end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/ischedule")
			w.WriteHeader(http.StatusPermanentRedirect)
		}, false},
		{"redirect nowhere", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := server(t, "", tt.handler).Deliver(context.Background(), delivery())
			if err == nil {
				t.Fatal("no error")
			}
			if got := errors.Is(err, backend.ErrUnavailable); got != tt.transient {
				t.Errorf("transient %v, want %v: %v", got, tt.transient, err)
			}
		})
	}
}

// A redirect on the same host is followed by POST, with the body.
//
// Proves: IS-BACK-1
func TestRedirectPostsAgain(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			b := server(t, ischedule.WellKnownPath, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/ischedule" {
					w.Header().Set("Location", "/ischedule")
					w.WriteHeader(status)
					return
				}
				got, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPost || string(got) != body || r.Header.Get("Originator") == "" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				_, _ = io.WriteString(w, answer("guest@gw.example 2.0", "other@gw.example 2.0"))
			})
			got, err := b.Deliver(context.Background(), delivery())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"guest@gw.example 2.0", "mailto:other@gw.example 2.0"}, codes(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Back ends obey the guard's rules for configured targets, and the delivery's deadline.
//
// Proves: IS-DISC-10, IS-BACK-1
func TestGuardAndDeadline(t *testing.T) {
	called := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer s.Close()
	b, err := backendischedule.New(snapshot.ISchedule{URL: s.URL}, netguard.New(netguard.Config{}), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var refused *netguard.RefusedError
	if _, err := b.Deliver(context.Background(), delivery()); !errors.As(err, &refused) || called {
		t.Errorf("loopback was not refused: %v", err)
	}

	slow := server(t, "", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := slow.Deliver(ctx, delivery()); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("ended context: %v", err)
	}
}

// A URL that cannot be a back end is refused when it is configured.
//
// Proves: IS-BACK-1
func TestNewRefuses(t *testing.T) {
	for _, u := range []string{"", "/ischedule", "ftp://cal.example/", "http://", "https://user:secret@cal.example/", "https://cal.example/#x", "https://user:secret@[::1"} {
		b, err := backendischedule.New(snapshot.ISchedule{URL: u}, netguard.New(netguard.Config{}), "", nil)
		if err == nil {
			b.Close()
			t.Errorf("%q was accepted", u)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a credential: %v", err)
		}
	}
}

// Cyrus cancels an event only for the Recipient that it finds without mailto:; everybody else gets what the draft asks for.
//
// Proves: IS-BACK-1
func TestRecipientFieldForCyrus(t *testing.T) {
	for _, tc := range []struct {
		rule, server, want string
	}{
		{"Cyrus gets bare addresses", "Cyrus-HTTP/3.6.1-Debian", "guest@GW.example,other@gw.example"},
		{"another server gets URIs", "Other/1", "mailto:guest@GW.example,MAILTO:other@gw.example"},
		{"so does one that gives no name", "", "mailto:guest@GW.example,MAILTO:other@gw.example"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			var got []string
			asked := 0
			b := server(t, "/.well-known/ischedule", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/ischedule" {
					http.Redirect(w, r, "/ischedule", http.StatusMovedPermanently)
					return
				}
				if r.Method == http.MethodOptions {
					asked++
					w.Header().Set("Server", tc.server)
					return
				}
				got = append(got, r.Header.Get("Recipient"))
				_, _ = io.WriteString(w, answer("mailto:guest@gw.example 2.0", "mailto:other@gw.example 2.0"))
			})
			for range 2 {
				results, err := b.Deliver(t.Context(), delivery())
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					if r.Status.Code != "2.0" {
						t.Errorf("%s: %s", r.Recipient, r.Status)
					}
				}
			}
			if diff := cmp.Diff([]string{tc.want, tc.want}, got); diff != "" {
				t.Error(diff)
			}
			if asked != 1 {
				t.Errorf("asked who it is %d times, want once", asked)
			}
		})
	}
}

// noted is what the echo memory heard, and whether the calendar server had been asked by then.
type noted struct {
	owners []string
	early  bool
	posted *bool
}

func (n *noted) Wrote(owner cua.Address, object []byte) {
	n.owners = append(n.owners, owner.String())
	n.early = !*n.posted && string(object) == body
}

// What the calendar server will store is known before it is sent, for each recipient; what a person decides about is not.
//
// Proves: IS-SUB-3
func TestEchoesAreNoted(t *testing.T) {
	all := []string{"guest@gw.example", "mailto:other@gw.example"}
	for _, tt := range []struct {
		component, method string
		want              []string
	}{
		{"VEVENT", "REQUEST", all},
		{"VEVENT", "ADD", all},
		{"VTODO", "CANCEL", all},
		{"VEVENT", "REPLY", all},
		{"VEVENT", "COUNTER", nil},
		{"VEVENT", "DECLINECOUNTER", nil},
		{"VEVENT", "REFRESH", nil},
		{"VFREEBUSY", "REQUEST", nil},
	} {
		t.Run(tt.component+" "+tt.method, func(t *testing.T) {
			posted := false
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				posted = posted || r.Method == http.MethodPost
				_, _ = io.WriteString(w, answer())
			}))
			defer s.Close()
			echoes := &noted{posted: &posted}
			guard := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
			b, err := backendischedule.New(snapshot.ISchedule{URL: s.URL}, guard, "calfed/test", echoes)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			d := delivery()
			d.Message.Component, d.Message.Method = tt.component, tt.method
			if _, err := b.Deliver(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, echoes.owners); diff != "" {
				t.Errorf("told of (-want +got):\n%s", diff)
			}
			if tt.want != nil && !echoes.early {
				t.Error("told only after the message had left, or of another one")
			}
		})
	}
}
