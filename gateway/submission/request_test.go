package submission_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/submission"
)

// TestRequestForm: the iSchedule form, judged by its header before the body is read.
//
// Proves: IS-SUB-1, IS-CAP-4
func TestRequestForm(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
		status int
		want   ischedule.ErrorName
	}{
		{"no version", with("iSchedule-Version", ""), 400, ischedule.VersionNotSupported},
		{"another media type", with("Content-Type", "text/plain"), 400, ischedule.InvalidCalendarDataType},
		{"no Originator", with("Originator", ""), 400, ischedule.OriginatorMissing},
		{"two Originators", func(r *http.Request) { r.Header.Add("Originator", "mailto:al@example.org") }, 400, ischedule.TooManyOriginators},
		{"an invalid Originator", with("Originator", "mailto:alice"), 400, ischedule.OriginatorInvalid},
		{"no Recipient", with("Recipient", ""), 400, ischedule.RecipientMissing},
		{"more than max-recipients", with("Recipient", "a@b.example,c@b.example,d@b.example,e@b.example"), 403, ischedule.MaxRecipients},
		{"Content-Encoding", with("Content-Encoding", "gzip"), 415, ischedule.InvalidCalendarDataType},
		{"a declared length above max-content-length", func(r *http.Request) { r.ContentLength = 1001 }, 413, ischedule.MaxContentLength},
		{"a chunked body above max-content-length", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1001))), -1
		}, 413, ischedule.MaxContentLength},
		{"another path", func(r *http.Request) { r.URL.Path = "/inbox" }, 404, ""},
		{"PUT", func(r *http.Request) { r.Method = http.MethodPut }, 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := &recorder{}
			w := serve(newHandler(t, out), post(test.change))
			refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
			if w.Code != test.status || !ok || refusal.Name != test.want {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, test.status, test.want)
			}
			if len(out.got) > 0 {
				t.Error("the message was taken")
			}
			if w.Header().Get("iSchedule-Version") != "1.0" || w.Header().Get("iSchedule-Capabilities") != "42" {
				t.Errorf("header %v", w.Header())
			}
			if test.status == 405 && w.Header().Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow %q", w.Header().Get("Allow"))
			}
		})
	}
}

// TestAnswer: the sender's answer goes back as a schedule-response; recipients that are no address are answered here.
//
// Proves: IS-SUB-1, IS-ADDR-1
func TestAnswer(t *testing.T) {
	out := &recorder{}
	h := newHandler(t, out)
	for _, path := range []string{"/", ischedule.WellKnownPath} {
		w := serve(h, post(with("Recipient", "mailto:bob@peer.example, nobody, mailto:eve@peer.example"), func(r *http.Request) { r.URL.Path = path }))
		response, err := ischedule.ReadResponse(w.Body.Bytes())
		if w.Code != 200 || err != nil {
			t.Fatalf("%s: %d %v", path, w.Code, err)
		}
		got := map[string]string{}
		for _, r := range response.Results {
			got[r.Recipient] = r.Status.Code
		}
		if diff := cmp.Diff(map[string]string{"mailto:bob@peer.example": "2.0", "mailto:eve@peer.example": "2.0", "nobody": "3.7"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if w.Header().Get("Content-Type") != "application/xml; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache, no-transform" {
			t.Errorf("header %v", w.Header())
		}
	}
	if got := out.got[0].Request; string(got.Body) != body || got.Component != "VEVENT" || got.Method != "REQUEST" {
		t.Errorf("handed on %+v", got)
	}
}

// TestSenderRefusal: a refusal by the sender is the answer.
//
// Proves: IS-SUB-1
func TestSenderRefusal(t *testing.T) {
	h := newHandler(t, &recorder{fail: ischedule.NewError(ischedule.InvalidSchedulingMessage, "originator-not-party", "not the ORGANIZER")})
	w := serve(h, post())
	if refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes()); !ok || w.Code != 400 || refusal.Name != ischedule.InvalidSchedulingMessage {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestCapabilities: submitters can read what they may send, asked for in every usual way; DAViCal, which alone asks with
// query=, reads only the schema of draft-01, and that is not what the others get.
//
// Proves: IS-SUB-1, IS-CAP-1
func TestCapabilities(t *testing.T) {
	h := newHandler(t, &recorder{})
	for query, status := range map[string]int{
		"": 200, "action=capabilities": 200, "query=capabilities": 200, "query=capabilities&action=capabilities": 200,
		"action=dance": 400, "query=": 400, "query=capabilities&action=dance": 400,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req := post(with("Authorization", ""), func(r *http.Request) { r.Method, r.URL.RawQuery = method, query })
			w := serve(h, req)
			if w.Code != status {
				t.Errorf("%s ?%s: %d, want %d", method, query, w.Code, status)
			}
			if status == 200 && method == http.MethodGet {
				old := query == "query=capabilities"
				got, err := ischedule.ReadCapabilities(w.Body.Bytes())
				if err != nil || (got.Serial == 42) == old || got.MaxContentLength != 1000 {
					t.Errorf("?%s: %+v, %v", query, got, err)
				}
				if strings.Contains(w.Body.String(), "<supported-scheduling-message-set>") != old {
					t.Errorf("?%s: not the schema asked for:\n%s", query, w.Body)
				}
			}
		}
	}
}

// TestOverTLS: a real listener, a client that waits for 100 Continue, a certificate that the handler asks for.
//
// Proves: IS-SUB-1
func TestOverTLS(t *testing.T) {
	out := &recorder{}
	h := newHandler(t, out)
	if h.ClientAuth() != tls.RequestClientCert {
		t.Fatalf("ClientAuth %v", h.ClientAuth())
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{ClientAuth: h.ClientAuth()}
	server.StartTLS()
	defer server.Close()

	identity, err := testCA().Issue(catest.Leaf{DNS: []string{"calendar.branch.example"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{identity}
	transport.ExpectContinueTimeout = time.Minute
	defer transport.CloseIdleConnections()

	submit := func(originator, token string, body io.Reader) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = post(with("Originator", originator), with("Authorization", token)).Header
		req.Header.Set("Expect", "100-continue")
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if res := submit("mailto:bea@branch.example", "", strings.NewReader(body)); res.StatusCode != http.StatusOK || out.got[0].Submitter != "by-certificate" {
		t.Errorf("by certificate: %s", res.Status)
	}
	unread := &counter{}
	if res := submit("mailto:alice@example.org", "Bearer wrong", unread); res.StatusCode != http.StatusForbidden {
		t.Errorf("a wrong token beside a certificate of another domain: %s", res.Status)
	}
	if unread.n > 0 {
		t.Errorf("%d octets of a body were asked for that could never be taken", unread.n)
	}
}

// counter is a body that counts what is read of it.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return 0, io.EOF
}

// TestNoSecretsInLogs: neither token nor address appears in what is logged.
//
// Proves: IS-SUB-1
func TestNoSecretsInLogs(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, &recorder{}, func(c *submission.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	serve(h, post(with("Authorization", "Bearer s3cret-guess")))
	serve(h, post(with("Originator", "mailto:private@peer.example")))
	serve(h, post())
	if strings.Contains(log.String(), "s3cret") || strings.Contains(log.String(), "private@") || strings.Contains(log.String(), tokenOne) {
		t.Errorf("log:\n%s", log.String())
	}
	if !strings.Contains(log.String(), "credentials-invalid") || !strings.Contains(log.String(), "originator-domain") {
		t.Errorf("no reason codes in the log:\n%s", log.String())
	}
}
