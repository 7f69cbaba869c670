package sender_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
)

// answered sends an invitation to bob and eve of one peer that answers so, and returns the results.
func answered(t *testing.T, body string, status int, header http.Header, answer string) []ischedule.RecipientResult {
	t.Helper()
	f := &finder{
		receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")},
		answer: func(posted) (*discovery.Answer, error) {
			return &discovery.Answer{Status: status, Header: header, Body: []byte(answer)}, nil
		},
	}
	s, a := newSender(t, f)
	response, err := s.Send(t.Context(), submission(t, a, body, "mailto:Bob@peer.example", "mailto:eve@peer.example"))
	if err != nil {
		t.Fatal(err)
	}
	return response.Results
}

var twoGuests = invitation([]string{"mailto:Bob@peer.example", "mailto:eve@peer.example"})

func scheduleResponse(inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?><schedule-response xmlns="urn:ietf:params:xml:ns:ischedule">` + inner + `</schedule-response>`
}

func errorDocument(name string) string {
	return `<?xml version="1.0" encoding="utf-8"?><error xmlns="urn:ietf:params:xml:ns:ischedule"><` + name + `/><response-description>because ` + name + `</response-description></error>`
}

// TestAnswerPerRecipient: answers in any order and spelling find their recipients; the rest is ignored or 5.1.
//
// Proves: IS-SEND-5
func TestAnswerPerRecipient(t *testing.T) {
	one := func(to, status string) string {
		return "<response><recipient>" + to + "</recipient><request-status>" + status + "</request-status></response>"
	}
	tests := []struct {
		name     string
		inner    string
		bob, eve string
	}{
		{"in any order", one("mailto:eve@peer.example", "3.7;Unknown") + one("mailto:Bob@peer.example", "2.0;Success"), "2.0;Success", "3.7;Unknown"},
		{"a status without text", one("mailto:Bob@peer.example", "2.0") + one("mailto:eve@peer.example", " 3.7 "), "2.0", "3.7"},
		{"without a scheme", one("Bob@peer.example", "2.0") + one("eve@peer.example", "2.0"), "2.0", "2.0"},
		{"in another case", one("MAILTO:BOB@PEER.EXAMPLE", "2.0") + one("mailto:Eve@Peer.Example", "2.0"), "2.0", "2.0"},
		{"percent-encoded", one("mailto:%42ob@peer.example", "2.0") + one("mailto:eve%40peer.example", "2.0"), "2.0", "2.0"},
		{"a missing recipient", one("mailto:Bob@peer.example", "2.0"), "2.0", "5.1"},
		{"nobody", "", "5.1", "5.1"},
		{"one that was not asked for", one("mailto:mallory@peer.example", "2.0") + one("no address", "2.0") + one("mailto:Bob@peer.example", "2.0"), "2.0", "5.1"},
		{"the first of two answers", one("mailto:Bob@peer.example", "3.8") + one("mailto:bob@peer.example", "2.0") + one("eve@peer.example", "2.0"), "3.8", "2.0"},
		{"a status that is none", one("mailto:Bob@peer.example", "fine") + one("eve@peer.example", "2.0"), "5.1", "2.0"},
		{"CalendarServer: pending, and one it could not connect to", one("mailto:Bob@peer.example", "1.0;Scheduling message send is pending") + one("mailto:eve@peer.example", "5.1;Service unavailable"), "1.0;Scheduling message send is pending", "5.1;Service unavailable"},
		{"a status we do not know", one("mailto:Bob@peer.example", "2.8;Scheduled in part") + one("eve@peer.example", "9.9"), "2.8;Scheduled in part", "9.9"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := answered(t, twoGuests, 200, nil, scheduleResponse(test.inner))
			if !strings.HasPrefix(got[0].Status.String(), test.bob) || !strings.HasPrefix(got[1].Status.String(), test.eve) {
				t.Errorf("bob %s, eve %s; want %s and %s", got[0].Status, got[1].Status, test.bob, test.eve)
			}
			if got[0].Recipient != "mailto:Bob@peer.example" || got[1].Recipient != "mailto:eve@peer.example" {
				t.Errorf("recipients %q and %q", got[0].Recipient, got[1].Recipient)
			}
		})
	}
}

// TestMediaTypesOfAnswers: an answer is read for what it is, in every media type that peers call it, and without one.
//
// Proves: IS-SEND-5
func TestMediaTypesOfAnswers(t *testing.T) {
	davical := `<?xml version="1.0" encoding="utf-8" ?>
<I:schedule-response xmlns:I="urn:ietf:params:xml:ns:ischedule"><I:response><I:recipient>mailto:bob@peer.example</I:recipient><I:request-status>2.0;delivered</I:request-status></I:response>
<I:response><I:recipient>mailto:eve@peer.example</I:recipient><I:request-status>3.7</I:request-status></I:response></I:schedule-response>`
	for _, mediaType := range []string{"application/xml; charset=utf-8", `text/xml; charset="utf-8"`, "text/xml", "application/octet-stream", ""} {
		got := answered(t, twoGuests, 200, http.Header{"Content-Type": {mediaType}}, davical)
		if got[0].Status.String() != "2.0;delivered" || got[1].Status.String() != "3.7" {
			t.Errorf("%q: bob %s, eve %s", mediaType, got[0].Status, got[1].Status)
		}
	}
}

// TestAnswerCaseAmbiguity: two recipients that differ only in case are told apart by exact spelling, never guessed.
//
// Proves: IS-SEND-5
func TestAnswerCaseAmbiguity(t *testing.T) {
	f := &finder{
		receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")},
		answer: func(posted) (*discovery.Answer, error) {
			return &discovery.Answer{Status: 200, Body: []byte(scheduleResponse(
				"<response><recipient>mailto:BOB@peer.example</recipient><request-status>2.0</request-status></response>" +
					"<response><recipient>mailto:bob@peer.example</recipient><request-status>3.7</request-status></response>"))}, nil
		},
	}
	s, a := newSender(t, f)
	to := []string{"mailto:Bob@peer.example", "mailto:bob@peer.example"}
	response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{to[0]: "5.1", to[1]: "3.7"}, statuses(response)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// TestOverallFailure: an error document or a status that is no success gives every recipient a status that names it.
//
// Proves: IS-SEND-5, IS-SEND-6, IS-STAT-1
func TestOverallFailure(t *testing.T) {
	plain := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   string
		says   string
	}{
		{"version-not-supported", 400, nil, errorDocument("version-not-supported"), "5.3", "version-not-supported"},
		{"invalid-calendar-data-type", 400, nil, errorDocument("invalid-calendar-data-type"), "3.14", "invalid-calendar-data-type"},
		{"invalid-calendar-data", 403, nil, errorDocument("invalid-calendar-data"), "3.14", "invalid-calendar-data"},
		{"invalid-scheduling-message", 403, nil, errorDocument("invalid-scheduling-message"), "3.14", "invalid-scheduling-message"},
		{"originator-missing", 400, nil, errorDocument("originator-missing"), "5.3", "originator-missing"},
		{"too-many-originators", 400, nil, errorDocument("too-many-originators"), "5.3", "too-many-originators"},
		{"originator-invalid", 403, nil, errorDocument("originator-invalid"), "3.8", "originator-invalid"},
		{"originator-denied", 403, nil, errorDocument("originator-denied"), "3.8", "originator-denied"},
		{"recipient-missing", 400, nil, errorDocument("recipient-missing"), "5.3", "recipient-missing"},
		{"recipient-mismatch", 400, nil, errorDocument("recipient-mismatch"), "5.3", "recipient-mismatch"},
		{"max-recipients", 403, nil, errorDocument("max-recipients"), "3.14", "max-recipients"},
		{"attachment-type-not-supported", 403, nil, errorDocument("attachment-type-not-supported"), "3.14", "attachment-type-not-supported"},
		{"max-content-length", 413, nil, errorDocument("max-content-length"), "3.14", "max-content-length"},
		{"min-date-time", 403, nil, errorDocument("min-date-time"), "3.14", "min-date-time"},
		{"max-date-time", 403, nil, errorDocument("max-date-time"), "3.14", "max-date-time"},
		{"max-instances", 403, nil, errorDocument("max-instances"), "3.14", "max-instances"},
		{"verification-failed", 403, nil, errorDocument("verification-failed"), "3.8", "verification-failed"},
		{"an error we do not know", 403, nil, errorDocument("out-of-cheese"), "5.3", "out-of-cheese"},
		{"an error document with 200", 200, nil, errorDocument("originator-denied"), "3.8", "originator-denied"},
		{"an error document without a name", 503, http.Header{"Retry-After": {"120"}}, errorDocument("x")[:0] + `<error xmlns="urn:ietf:params:xml:ns:ischedule"/>`, "5.1", "2m0s"},
		{"a named error with 500 is transient", 500, nil, errorDocument("verification-failed"), "5.1", "verification-failed"},
		{"429", 429, http.Header{"Retry-After": {"60"}}, "", "5.1", "1m0s"},
		{"429 with a date", 429, http.Header{"Retry-After": {"Sun, 22 Nov 2026 14:05:00 GMT"}}, "", "5.1", "5m0s"},
		{"a Retry-After that is absurd", 503, http.Header{"Retry-After": {"2000000000"}}, "", "5.1", "24h0m0s"},
		{"a Retry-After that is none", 503, http.Header{"Retry-After": {"soon\x00"}}, "", "5.1", "HTTP 503"},
		{"408", 408, nil, "", "5.1", "HTTP 408"},
		{"502", 502, nil, "<html>bad gateway</html>", "5.1", "HTTP 502"},
		{"DAViCal: no signature", 403, plain, "DKIM signature missing", "3.8", "DKIM signature missing"},
		{"DAViCal: a signature it cannot read", 412, plain, "DKIM signature invalid \nbad query method\n", "3.8", "DKIM signature invalid"},
		{"DAViCal: a signature that does not hold", 412, plain, "DKIM signature validation failed(Signature verification ERROR)\\nbody hash mismatch", "3.8", "body hash mismatch"},
		{"DAViCal: key trouble", 400, plain, "DKIM signature validation failed(DNS ERROR)", "5.3", "DNS ERROR"},
		{"DAViCal: no component=", 500, plain, "The application program does not understand that request.", "5.1", "HTTP 500"},
		{"401", 401, nil, "", "3.8", "HTTP 401"},
		{"404", 404, nil, "", "5.2", "HTTP 404"},
		{"405", 405, nil, "", "5.2", "HTTP 405"},
		{"501", 501, nil, "", "5.2", "HTTP 501"},
		{"a redirect that leads away", 302, http.Header{"Location": {"https://elsewhere.example/"}}, "", "5.2", "HTTP 302"},
		{"413", 413, nil, "", "3.14", "HTTP 413"},
		{"415", 415, nil, "", "3.14", "HTTP 415"},
		{"418", 418, nil, "", "5.3", "HTTP 418"},
		{"200 that is no answer", 200, nil, "<html>welcome</html>", "5.1", "cannot be read"},
		{"200 without a body", 200, nil, "", "5.1", "cannot be read"},
		{"an answer with a DTD", 200, nil, `<!DOCTYPE a [<!ENTITY x "y">]>` + scheduleResponse(""), "5.1", "cannot be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, got := range answered(t, twoGuests, test.status, test.header, test.body) {
				if got.Status.Code != test.want || !strings.Contains(got.Description, test.says) {
					t.Errorf("%s (%s), want %s with %q", got.Status, got.Description, test.want, test.says)
				}
				if len(got.CalendarData) > 0 {
					t.Error("calendar data with a failure")
				}
				if test.want != "2.0" && strings.HasPrefix(test.body, "<?xml") && test.status >= 400 && !strings.Contains(got.Status.Text, test.says) {
					t.Errorf("the status %q does not carry the error's name", got.Status)
				}
			}
		})
	}
}

// TestNoAnswer: what happened to the connection decides the status, and no address is leaked.
//
// Proves: IS-SEND-6
func TestNoAnswer(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
		says string
	}{
		{"time-out", fmt.Errorf("post: %w", context.DeadlineExceeded), "5.1", "in time"},
		{"connection", errUnplugged, "5.1", "connection"},
		{"a refused address", &netguard.RefusedError{Address: netip.MustParseAddrPort("127.0.0.1:443"), Rule: "loopback"}, "5.2", "loopback"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{
				receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")},
				answer:    func(posted) (*discovery.Answer, error) { return nil, test.err },
			}
			s, a := newSender(t, f)
			response, err := s.Send(t.Context(), submission(t, a, twoGuests, "mailto:Bob@peer.example"))
			if err != nil {
				t.Fatal(err)
			}
			got := response.Results[0]
			if got.Status.Code != test.want || !strings.Contains(got.Description, test.says) || strings.Contains(got.Description, "127.0.0.1") {
				t.Errorf("%s (%s), want %s with %q", got.Status, got.Description, test.want, test.says)
			}
		})
	}
}

// TestFreeBusyAnswerIsChecked: what comes back is the REPLY for the user asked about, bounded and clean, or nothing.
//
// Proves: IS-SEND-5
func TestFreeBusyAnswerIsChecked(t *testing.T) {
	const bob = "mailto:Bob@peer.example"
	good := busy(bob)
	tests := []struct {
		name string
		data string
		want string // the data passed on; "" = refused
	}{
		{"good", good, good},
		{"Cyrus: never busy", strings.Replace(good, "FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z\r\n", "", 1), strings.Replace(good, "FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z\r\n", "", 1)},
		{"another spelling of the attendee", busy("MAILTO:Bob@PEER.example"), busy("MAILTO:Bob@PEER.example")},
		{"LF line ends", strings.ReplaceAll(good, "\r\n", "\n"), good},
		{"control characters", busy(bob, "COMMENT:a\u009b2Jb\u202ec"), busy(bob, "COMMENT:a2Jbc")},
		{"another attendee", busy("mailto:mallory@peer.example"), ""},
		{"two attendees", busy(bob, "ATTENDEE:mailto:mallory@peer.example"), ""},
		{"no attendee", strings.Replace(good, "ATTENDEE:"+bob+"\r\n", "", 1), ""},
		{"a REQUEST", strings.Replace(good, "METHOD:REPLY", "METHOD:REQUEST", 1), ""},
		{"no METHOD", strings.Replace(good, "METHOD:REPLY\r\n", "", 1), ""},
		{"an event", strings.ReplaceAll(strings.Replace(good, "FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z\r\n", "", 1), "VFREEBUSY", "VEVENT"), ""},
		{"no iCalendar", "<script>alert(1)</script>", ""},
		{"nothing", "", ""},
		{"more than 1 MiB", busy(bob, strings.TrimSuffix(strings.Repeat("COMMENT:"+strings.Repeat("x", 1000)+"\r\n", 1100), "\r\n")), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := (&ischedule.Response{Results: []ischedule.RecipientResult{
				{Recipient: bob, Status: ischedule.StatusDelivered, CalendarData: []byte(test.data)},
				{Recipient: "mailto:eve@peer.example", Status: ischedule.StatusDelivered, CalendarData: []byte(busy("mailto:eve@peer.example"))},
			}}).Marshal()
			got := answered(t, question(bob, "mailto:eve@peer.example"), 200, nil, string(answer))
			want := "2.0"
			if test.want == "" {
				want = "5.1"
			}
			if got[0].Status.Code != want {
				t.Errorf("%s (%s), want %s", got[0].Status, got[0].Description, want)
			}
			if diff := cmp.Diff(test.want, string(got[0].CalendarData)); diff != "" {
				t.Errorf("calendar data (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFirstFreeBusyAnswerWins: its data too; a second one changes nothing.
//
// Proves: IS-SEND-5
func TestFirstFreeBusyAnswerWins(t *testing.T) {
	const bob = "mailto:Bob@peer.example"
	first, second := busy(bob), busy(bob, "FREEBUSY:20261125T120000Z/PT1H")
	answer := (&ischedule.Response{Results: []ischedule.RecipientResult{
		{Recipient: bob, Status: ischedule.StatusDelivered, CalendarData: []byte(first)},
		{Recipient: bob, Status: ischedule.StatusDelivered, CalendarData: []byte(second)},
		{Recipient: "mailto:eve@peer.example", Status: ischedule.StatusNoAuthority},
		{Recipient: "mailto:eve@peer.example", Status: ischedule.StatusDelivered, CalendarData: []byte(busy("mailto:eve@peer.example"))},
	}}).Marshal()
	got := answered(t, question(bob, "mailto:eve@peer.example"), 200, nil, string(answer))
	if diff := cmp.Diff(first, string(got[0].CalendarData)); diff != "" {
		t.Errorf("bob (-want +got):\n%s", diff)
	}
	if got[1].Status.Code != "3.8" || got[1].CalendarData != nil {
		t.Errorf("eve: %+v", got[1])
	}
}

// TestCalendarDataOnlyForFreeBusy: an answer to an invitation carries none, whatever the peer sends along.
//
// Proves: IS-SEND-5
func TestCalendarDataOnlyForFreeBusy(t *testing.T) {
	answer := (&ischedule.Response{Results: []ischedule.RecipientResult{
		{Recipient: "mailto:Bob@peer.example", Status: ischedule.StatusDelivered, CalendarData: []byte(busy("mailto:Bob@peer.example"))},
	}}).Marshal()
	if got := answered(t, twoGuests, 200, nil, string(answer))[0]; got.Status.Code != "2.0" || got.CalendarData != nil {
		t.Errorf("%+v", got)
	}
}

// TestPeerTextIsClean: texts of a peer are one printable line of bounded length.
//
// Proves: IS-SEND-5
func TestPeerTextIsClean(t *testing.T) {
	answer := scheduleResponse("<response><recipient>mailto:Bob@peer.example</recipient><request-status>2.0;O\u009bK\u202e</request-status>" +
		"<response-description>one\n\ttwo\u0085" + strings.Repeat("é", 5000) + "</response-description></response>")
	got := answered(t, twoGuests, 200, nil, answer)[0]
	if got.Status.Code != "2.0" || strings.ContainsAny(got.Status.Text+got.Description, "\u009b\u202e\u0085\n\t") || len(got.Description) > 400 {
		t.Errorf("%q, %d octets of description: %.40q", got.Status, len(got.Description), got.Description)
	}
	// DAViCal explains itself in plain text
	plain := http.Header{"Content-Type": {"text/plain"}}
	if got := answered(t, twoGuests, 403, plain, "no\u001b[2J\u202eway")[0]; !strings.Contains(got.Description, "way") || strings.ContainsAny(got.Description, "\u001b\u202e") {
		t.Errorf("%q", got.Description)
	}
}
