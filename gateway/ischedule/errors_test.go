package ischedule_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
)

var errorStatuses = map[ischedule.ErrorName]int{
	ischedule.VersionNotSupported:        400,
	ischedule.InvalidCalendarDataType:    400,
	ischedule.InvalidCalendarData:        400,
	ischedule.InvalidSchedulingMessage:   400,
	ischedule.OriginatorMissing:          400,
	ischedule.TooManyOriginators:         400,
	ischedule.OriginatorInvalid:          400,
	ischedule.OriginatorDenied:           403,
	ischedule.RecipientMissing:           400,
	ischedule.RecipientMismatch:          400,
	ischedule.MaxRecipients:              403,
	ischedule.AttachmentTypeNotSupported: 403,
	ischedule.MaxContentLength:           413,
	ischedule.MinDateTime:                403,
	ischedule.MaxDateTime:                403,
	ischedule.MaxInstances:               403,
	ischedule.VerificationFailed:         403,
}

// Proves: IS-RECV-2, IS-RECV-3
func TestEveryErrorIsWrittenAndReadBack(t *testing.T) {
	if len(errorStatuses) != 17 {
		t.Fatalf("%d of 17 errors", len(errorStatuses))
	}
	for name, status := range errorStatuses {
		t.Run(string(name), func(t *testing.T) {
			w := httptest.NewRecorder()
			ischedule.NewError(name, "some-reason", "a description").Write(w)
			if w.Code != status {
				t.Errorf("status %d, want %d", w.Code, status)
			}
			got, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
			want := &ischedule.Error{Name: name, Status: status, Description: "a description"}
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Error(ok, diff)
			}
		})
	}
}

// Proves: IS-RECV-2, IS-RECV-8
func TestErrorDocument(t *testing.T) {
	w := httptest.NewRecorder()
	e := &ischedule.Error{
		Name: ischedule.VerificationFailed, Reason: "signature-expired",
		Description: "x= is <past> & \x00gone\u0085\xff", Err: errors.New("for the log only"),
	}
	e.Write(w)
	want := `<?xml version="1.0" encoding="utf-8"?>
<error xmlns="urn:ietf:params:xml:ns:ischedule">
  <verification-failed/>
  <response-description>x= is &lt;past&gt; &amp; gone` + "\uFFFD" + `</response-description>
</error>
`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
	for field, value := range map[string]string{
		"Content-Type":  "application/xml; charset=utf-8",
		"Cache-Control": "no-cache, no-transform",
		"Retry-After":   "",
	} {
		if got := w.Header().Get(field); got != value {
			t.Errorf("%s: %q, want %q", field, got, value)
		}
	}
}

// Proves: IS-RECV-2
func TestRetryAfterIsRoundedUp(t *testing.T) {
	for _, tc := range []struct {
		status int
		after  time.Duration
		want   string
	}{
		{http.StatusTooManyRequests, time.Millisecond, "1"},
		{http.StatusServiceUnavailable, 30 * time.Second, "30"},
		{http.StatusServiceUnavailable, 30*time.Second + 1, "31"},
	} {
		w := httptest.NewRecorder()
		(&ischedule.Error{Status: tc.status, Reason: "rate", RetryAfter: tc.after}).Write(w)
		if w.Code != tc.status || w.Header().Get("Retry-After") != tc.want {
			t.Errorf("%d %q, want %d %q", w.Code, w.Header().Get("Retry-After"), tc.status, tc.want)
		}
		got, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
		if !ok || got.Name != "" || got.Description != http.StatusText(tc.status) {
			t.Errorf("%+v in %s", got, w.Body)
		}
	}
}

func TestErrorForTheLog(t *testing.T) {
	e := ischedule.NewError(ischedule.OriginatorDenied, "policy-deny", "ask the administrator")
	if got := e.Error(); got != "403 originator-denied policy-deny" {
		t.Error(got)
	}
	e.Err = io.ErrUnexpectedEOF
	if got := e.Error(); got != "403 originator-denied policy-deny: unexpected EOF" || !errors.Is(e, io.ErrUnexpectedEOF) {
		t.Error(got)
	}
	if got := (&ischedule.Error{Reason: "draining"}).Error(); got != "503 draining" {
		t.Error(got)
	}
}

// Proves: IS-SEND-5
func TestReadErrorOfPeers(t *testing.T) {
	const ns = `xmlns="urn:ietf:params:xml:ns:ischedule"`
	for _, tc := range []struct {
		rule, body string
		want       *ischedule.Error
	}{
		{"Cyrus", `<?xml version="1.0" encoding="utf-8"?><error ` + ns + `><verification-failed/><response-description>Unable to verify</response-description></error>`,
			&ischedule.Error{Name: "verification-failed", Status: 403, Description: "Unable to verify"}},
		{"a prefix", `<I:error xmlns:I="urn:ietf:params:xml:ns:ischedule"><I:recipient-missing/></I:error>`,
			&ischedule.Error{Name: "recipient-missing", Status: 403}},
		{"CalendarServer's DAV: error", `<error xmlns='DAV:'><originator-denied xmlns='urn:ietf:params:xml:ns:ischedule'/><error-description xmlns='http://twistedmatrix.com/xml_namespace/dav/'>No</error-description></error>`,
			&ischedule.Error{Name: "originator-denied", Status: 403, Description: "No"}},
		{"the description first", `<error ` + ns + `><response-description>No</response-description><max-recipients/></error>`,
			&ischedule.Error{Name: "max-recipients", Status: 403, Description: "No"}},
		{"a name we do not know", `<error ` + ns + `><quota-exceeded/></error>`, &ischedule.Error{Name: "quota-exceeded", Status: 403}},
		{"a name that is none", `<error ` + ns + `><X.1/></error>`, &ischedule.Error{Status: 403}},
		{"no name", `<error ` + ns + `/>`, &ischedule.Error{Status: 403}},
		{"a name of another namespace", `<error ` + ns + `><x:max-recipients xmlns:x="urn:x"/></error>`, &ischedule.Error{Status: 403}},
		{"a description of many lines", `<error ` + ns + "><response-description>a\r\nb\u0085\u202ec</response-description></error>", &ischedule.Error{Status: 403, Description: "a b c"}},
		{"an endless description", `<error ` + ns + `><response-description>` + strings.Repeat("ü", 10000) + `</response-description></error>`, &ischedule.Error{Status: 403, Description: strings.Repeat("ü", 256)}},
		{"DAViCal's plain text", "DKIM signature missing", nil},
		{"HTML", "<html><body>Forbidden</body></html>", nil},
		{"nothing", "", nil},
		{"a schedule-response", `<schedule-response ` + ns + `/>`, nil},
		{"an error of another protocol", `<error xmlns="urn:x"><max-recipients/></error>`, nil},
		{"a DTD", `<!DOCTYPE error><error ` + ns + `/>`, nil},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, ok := ischedule.ReadError(403, []byte(tc.body))
			if ok != (tc.want != nil) {
				t.Fatalf("%v, %+v", ok, got)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
