package receiver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

func readAll(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (w *world) get(method, target string, header ...string) *http.Response {
	req := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return w.do(req)
}

// The capabilities document is served for its action, for DAViCal's query, and without either.
//
// Proves: IS-CAP-1, IS-CAP-2, IS-CAP-4
func TestCapabilities(t *testing.T) {
	w := newWorld(t)
	for _, query := range []string{"", "?action=capabilities", "?query=capabilities", "?action=capabilities&query=capabilities", "?x=y"} {
		resp := w.get("GET", ischedule.WellKnownPath+query)
		got, err := ischedule.ReadCapabilities([]byte(readAll(t, resp)))
		if resp.StatusCode != http.StatusOK || err != nil {
			t.Errorf("%s: %d, %v", query, resp.StatusCode, err)
			continue
		}
		if d := cmp.Diff(&w.snap.Gateway.Capabilities, got); d != "" {
			t.Errorf("%s (-configured +served):\n%s", query, d)
		}
		if ct := resp.Header.Get("Content-Type"); ct != "application/xml; charset=utf-8" {
			t.Errorf("Content-Type %q", ct)
		}
	}
	for _, query := range []string{"?action=delete", "?query=x", "?action=capabilities&action=x", "?action", "?action=%zz"} {
		if got := outcome(w.get("GET", ischedule.WellKnownPath+query)); got != "400" {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// HEAD and OPTIONS work, other methods are refused, and every answer carries version and serial.
//
// Proves: IS-CAP-1, IS-CAP-2
func TestMethods(t *testing.T) {
	w := newWorld(t)
	head, get := w.get("HEAD", ischedule.WellKnownPath), w.get("GET", ischedule.WellKnownPath)
	body := readAll(t, get)
	if readAll(t, head) != "" || head.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("HEAD: %v", head.Header)
	}
	if d := cmp.Diff(get.Header, head.Header); d != "" {
		t.Errorf("HEAD and GET differ: %s", d)
	}
	options := w.get("OPTIONS", ischedule.WellKnownPath)
	if options.StatusCode != http.StatusNoContent || options.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: %d %v", options.StatusCode, options.Header)
	}
	put := w.get("PUT", ischedule.WellKnownPath)
	if put.StatusCode != http.StatusMethodNotAllowed || put.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("PUT: %d %v", put.StatusCode, put.Header)
	}
	bad := w.get("GET", ischedule.WellKnownPath+"?action=x")
	for _, resp := range []*http.Response{head, get, options, put, bad, w.do(invitation(t, "1").request(t))} {
		if resp.Header.Get("iSchedule-Version") != "1.0" || resp.Header.Get("iSchedule-Capabilities") != "7" {
			t.Errorf("%d: %v", resp.StatusCode, resp.Header)
		}
	}
	w.snap.Gateway.Capabilities.Serial = 8
	w.compile()
	if got := w.get("GET", ischedule.WellKnownPath).Header.Get("iSchedule-Capabilities"); got != "8" {
		t.Errorf("a new serial is answered as %s", got)
	}
}

// A sender that has the document already is told so.
//
// Proves: IS-CAP-3
func TestConditional(t *testing.T) {
	w := newWorld(t)
	first := w.get("GET", ischedule.WellKnownPath)
	tag := first.Header.Get("ETag")
	if len(tag) < 10 || strings.HasPrefix(tag, "W/") || !strings.HasPrefix(first.Header.Get("Cache-Control"), "max-age=") {
		t.Fatalf("%v", first.Header)
	}
	for value, want := range map[string]int{
		tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, strings.Trim(tag, `"`): 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp := w.get(method, ischedule.WellKnownPath, "If-None-Match", value)
			if resp.StatusCode != want || resp.Header.Get("ETag") != tag || want == 304 && readAll(t, resp) != "" {
				t.Errorf("%s %s: %d", method, value, resp.StatusCode)
			}
		}
	}
	if again := newWorld(t).get("GET", ischedule.WellKnownPath).Header.Get("ETag"); again != tag {
		t.Errorf("another replica has %s, not %s", again, tag)
	}
	w.snap.Gateway.Capabilities.Serial++
	w.compile()
	if changed := w.get("GET", ischedule.WellKnownPath, "If-None-Match", tag); changed.StatusCode != http.StatusOK {
		t.Errorf("a changed document: %d", changed.StatusCode)
	}
}

// Keys of domains here are served, and nothing else.
//
// Proves: IS-DKIM-11
func TestDomainKey(t *testing.T) {
	w := newWorld(t)
	get := func(method, path string) *http.Response {
		req := httptest.NewRequest(method, "https://gw.example/", nil)
		req.URL.Path = path
		rec := httptest.NewRecorder()
		w.receiver.ServeDomainKey(rec, req)
		return rec.Result()
	}
	const path = "/.well-known/domainkey/gw.example/cal"
	resp := get("GET", path)
	if resp.StatusCode != http.StatusOK || readAll(t, resp) != record(t, "other.ed25519.pem")+"\r\n" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp := get("GET", "/.well-known/domainkey/GW.Example/CAL"); resp.StatusCode != http.StatusOK {
		t.Errorf("in another case: %d", resp.StatusCode)
	}
	if resp := get("HEAD", path); resp.StatusCode != http.StatusOK || readAll(t, resp) != "" {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
	if resp := get("POST", path); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	for _, path := range []string{
		"/.well-known/domainkey/", "/.well-known/domainkey/gw.example", "/.well-known/domainkey/gw.example/", "/.well-known/domainkey/gw.example/other",
		"/.well-known/domainkey/foreign.example/cal", "/.well-known/domainkey/gw.example/cal/", "/.well-known/domainkey/gw.example/../cal",
		"/.well-known/domainkey/gw.example/cal/x", "/.well-known/domainkey//cal", "/elsewhere/gw.example/cal",
	} {
		if resp := get("GET", path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	revoked := &w.snap.Domains[0].Signing.Keys[0]
	revoked.State, revoked.Private, revoked.Record = snapshot.KeyRevoked, nil, "v=DKIM1; k=ed25519; p="
	w.compile()
	if resp := get("GET", path); resp.StatusCode != http.StatusOK || readAll(t, resp) != revoked.Record+"\r\n" {
		t.Errorf("a revoked key: %d", resp.StatusCode)
	}
	w.snap.Gateway.Limits.RequestsPerSource = 1e-9
	w.compile()
	if resp := get("GET", path); resp.StatusCode == http.StatusOK {
		if resp = get("GET", path); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("over the source's budget: %d", resp.StatusCode)
		}
	}
}

// A source that asks too often is told when to come back; others are not affected.
//
// Proves: IS-RECV-1, IS-RECV-2, IS-CAP-2
func TestRequestsPerSource(t *testing.T) {
	w := newWorld(t, func(w *world) { w.snap.Gateway.Limits.RequestsPerSource = 0.1 })
	from := func(remote string) *http.Response {
		req := httptest.NewRequest(http.MethodGet, ischedule.WellKnownPath, nil)
		req.RemoteAddr = remote
		return w.do(req)
	}
	if resp := from("[2001:db8:1:2::1]:1"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode)
	}
	resp := from("[2001:db8:1:2:ffff::9]:7")
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "10" ||
		resp.Header.Get("iSchedule-Version") != "1.0" || resp.Header.Get("iSchedule-Capabilities") != "7" {
		t.Errorf("the same /64: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := from("[2001:db8:1:3::1]:1"); resp.StatusCode != http.StatusOK {
		t.Errorf("another /64: %d", resp.StatusCode)
	}
	w.now = w.now.Add(10 * time.Second)
	if resp := from("[2001:db8:1:2::1]:1"); resp.StatusCode != http.StatusOK {
		t.Errorf("after the wait: %d", resp.StatusCode)
	}
}

// raw sends bytes to a real HTTP/1.1 server in front of the receiver and returns the answer.
func (w *world) raw(handler http.Handler, parts ...string) (*http.Response, string) {
	w.t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for _, p := range parts {
		if _, err := io.WriteString(conn, p); err != nil {
			w.t.Fatal(err)
		}
	}
	method, _, _ := strings.Cut(parts[0], " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp, readAll(w.t, resp)
}

// wire is the request in HTTP/1.1, without its body and the empty line.
func (m *mail) wire(t testing.TB, extra ...string) string {
	var b strings.Builder
	b.WriteString("POST " + ischedule.WellKnownPath + " HTTP/1.1\r\nHost: gw.example\r\n")
	_ = m.request(t).Header.Write(&b)
	for _, e := range extra {
		b.WriteString(e + "\r\n")
	}
	return b.String()
}

// A body is refused by its announced length before any of it is asked for; and a message that its header refuses is
// refused without 100 Continue.
//
// Proves: IS-RECV-1, IS-RECV-2, IS-CAP-4
func TestExpectContinue(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		mail *mail
		head []string
		want int
	}{
		"too long":     {invitation(t, "1"), []string{"Content-Length: 1000000", "Expect: 100-continue"}, 413},
		"compressed":   {invitation(t, "1"), []string{"Content-Encoding: br", "Content-Length: 10", "Expect: 100-continue"}, 415},
		"unknown peer": {message(t, "1", "VEVENT", "REQUEST", "mailto:a@stranger.example", []string{"mailto:guest@gw.example"}, "").sign(t, "stranger.example", "ed", "other.ed25519.pem"), []string{"Content-Length: 10", "Expect: 100-continue"}, 403},
	} {
		resp, _ := w.raw(w.receiver, tt.mail.wire(t, tt.head...)+"\r\n")
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.want)
		}
	}
	m := invitation(t, "2")
	resp, _ := w.raw(w.receiver, m.wire(t, fmt.Sprintf("Content-Length: %d", len(m.body)), "Expect: 100-continue")+"\r\n")
	if resp.StatusCode != http.StatusContinue {
		t.Errorf("a good message: %d", resp.StatusCode)
	}
}

// Bodies arrive chunked, short, long and slowly; memory for them is bounded.
//
// Proves: IS-RECV-1, IS-RECV-2, IS-DKIM-1
func TestBodies(t *testing.T) {
	m := invitation(t, "1")
	chunked := func(parts ...string) string {
		out := m.wire(t, "Transfer-Encoding: chunked") + "\r\n"
		for _, p := range parts {
			out += fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
		}
		return out
	}
	long := strings.Repeat("x", 9<<10)
	for _, tt := range []struct {
		name string
		edit func(*world)
		send string
		want int
	}{
		{"chunked", nil, chunked(m.body[:10], m.body[10:]) + "0\r\n\r\n", 200},
		{"chunked, too long", nil, chunked(long, long), 413},
		{"chunks that are none", nil, m.wire(t, "Transfer-Encoding: chunked") + "\r\nzzz\r\n", 400},
		{"nothing", nil, m.wire(t, "Content-Length: 0") + "\r\n", 403},
		{"too slow", func(w *world) { w.snap.Gateway.Limits.BodyTimeout = 50 * time.Millisecond }, m.wire(t, "Content-Length: 100") + "\r\nBEGIN", 408},
		{"refused, and then slow", func(w *world) { w.snap.Gateway.Limits.BodyTimeout = 50 * time.Millisecond },
			"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nBEGIN", 405},
		{"malformed, and then slow", func(w *world) { w.snap.Gateway.Limits.BodyTimeout = 50 * time.Millisecond },
			invitation(t, "1").set("iSchedule-Version", "2.0").wire(t, "Content-Length: 100") + "\r\nBEGIN", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			resp, body := w.raw(w.receiver, tt.send)
			if resp.StatusCode != tt.want {
				t.Errorf("%d, want %d: %s", resp.StatusCode, tt.want, body)
			}
		})
	}
}

// A body for which there is no memory is waited for, not for long.
//
// Proves: IS-RECV-1, IS-RECV-2
func TestNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.snap.Gateway.Limits.MaxInFlightBytes = 100 })
		began := time.Now()
		resp := w.do(invitation(t, "1").request(t))
		if got := outcome(resp); got != "503" || resp.Header.Get("Retry-After") == "" || time.Since(began) > 5*time.Second {
			t.Errorf("%s after %v, Retry-After %q", got, time.Since(began), resp.Header.Get("Retry-After"))
		}
		w.undelivered()
	})
}
