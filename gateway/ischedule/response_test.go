package ischedule_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/ischedule"
)

const freeBusy = "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VFREEBUSY\r\nUID:a&b<c>]]>\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n"

// Proves: IS-RECV-8
func TestScheduleResponseIsWritten(t *testing.T) {
	r := &ischedule.Response{Results: []ischedule.RecipientResult{
		{Recipient: "mailto:Cyrus%2Bx@Example.org", Status: ischedule.StatusDelivered, CalendarData: []byte("A:1\r\nB:<&>\r\n")},
		{Recipient: "guest@gw.example", Status: ischedule.StatusUnknownUser.WithText(""), Description: "no \"such\" user\x01"},
	}}
	w := httptest.NewRecorder()
	r.Write(w)
	want := `<?xml version="1.0" encoding="utf-8"?>
<schedule-response xmlns="urn:ietf:params:xml:ns:ischedule">
  <response>
    <recipient>mailto:Cyrus%2Bx@Example.org</recipient>
    <request-status>2.0;Success</request-status>
    <calendar-data>A:1&#13;
B:&lt;&amp;&gt;&#13;
</calendar-data>
  </response>
  <response>
    <recipient>guest@gw.example</recipient>
    <request-status>3.7</request-status>
    <response-description>no &quot;such&quot; user</response-description>
  </response>
</schedule-response>
`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/xml; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache, no-transform" {
		t.Error(w.Code, w.Header())
	}
}

// Proves: IS-SEND-5
func TestReadResponseOfPeers(t *testing.T) {
	const ns = `xmlns="urn:ietf:params:xml:ns:ischedule"`
	lf := strings.ReplaceAll(freeBusy, "\r\n", "\n")
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	for _, tc := range []struct {
		rule, body string
		want       []ischedule.RecipientResult
	}{
		{"the draft's example", `<?xml version="1.0" encoding="utf-8" ?>
<schedule-response ` + ns + `>
  <response>
    <recipient>mailto:cyrus@example.org</recipient>
    <request-status>2.0;Success</request-status>
    <response-description>Delivered to recipient</response-description>
  </response>
</schedule-response>`, []ischedule.RecipientResult{{Recipient: "mailto:cyrus@example.org", Status: ischedule.StatusDelivered, Description: "Delivered to recipient"}}},
		{"a prefix, a status without text, an address without mailto", `<I:schedule-response xmlns:I="urn:ietf:params:xml:ns:ischedule"><I:response>
<I:recipient> guest@gw.example </I:recipient><I:request-status>3.7</I:request-status></I:response></I:schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "guest@gw.example", Status: ischedule.RequestStatus{Code: "3.7"}}}},
		{"no namespace", `<schedule-response><response><recipient>a@b.example</recipient><request-status>2.0</request-status></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "a@b.example", Status: ischedule.RequestStatus{Code: "2.0"}}}},
		{"Cyrus: calendar-data as CDATA with literal CRLF", `<schedule-response ` + ns + `><response><recipient>mailto:a@b.example</recipient><request-status>2.0;Success</request-status><calendar-data content-type="text/calendar"><![CDATA[` +
			strings.ReplaceAll(freeBusy, "]]>", "]]]]><![CDATA[>") + `]]></calendar-data></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "mailto:a@b.example", Status: ischedule.StatusDelivered, CalendarData: []byte(freeBusy)}}},
		{"calendar-data with LF", `<schedule-response ` + ns + `><response><recipient>mailto:a@b.example</recipient><request-status>2.0;Success</request-status><calendar-data>
` + escaped.Replace(lf) + `
</calendar-data></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "mailto:a@b.example", Status: ischedule.StatusDelivered, CalendarData: []byte(freeBusy)}}},
		{"EGroupware: responsedescription", `<schedule-response ` + ns + `><response><recipient>a@b.example</recipient><request-status>2.0;Success</request-status><responsedescription>Delivered to recipient</responsedescription></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "a@b.example", Status: ischedule.StatusDelivered, Description: "Delivered to recipient"}}},
		{"CalendarServer: single quotes, pending", `<?xml version='1.0' encoding='UTF-8'?><schedule-response xmlns='urn:ietf:params:xml:ns:ischedule'><response><recipient>mailto:a@b.example</recipient><request-status>1.0;Scheduling message send is pending</request-status></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "mailto:a@b.example", Status: ischedule.RequestStatus{Code: "1.0", Text: "Scheduling message send is pending"}}}},
		{"draft-00: the recipient in an href", `<schedule-response ` + ns + `><response><recipient><href xmlns="DAV:">mailto:a@b.example</href></recipient><request-status>2.0;Success</request-status></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "mailto:a@b.example", Status: ischedule.StatusDelivered}}},
		{"no status, and one that is none", `<schedule-response ` + ns + `><response><recipient>a@b.example</recipient></response><response><recipient>b@b.example</recipient><request-status>fine</request-status></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "a@b.example"}, {Recipient: "b@b.example"}}},
		{"a response for nobody", `<schedule-response ` + ns + `><response><request-status>2.0</request-status></response></schedule-response>`, nil},
		{"unknown elements", `<schedule-response ` + ns + `><x/><response><y><recipient>c@b.example</recipient></y><recipient>a@b.example</recipient><error><max-recipients/></error><request-status>2.0</request-status></response></schedule-response>`,
			[]ischedule.RecipientResult{{Recipient: "a@b.example", Status: ischedule.RequestStatus{Code: "2.0"}}}},
		{"control characters", "<schedule-response " + ns + "><response><recipient>a@b.example</recipient><request-status>5.1;a\x07b\u009b</request-status></response></schedule-response>",
			[]ischedule.RecipientResult{{Recipient: "a@b.example", Status: ischedule.RequestStatus{Code: "5.1", Text: "ab"}}}},
		{"empty", `<schedule-response ` + ns + `/>`, nil},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := ischedule.ReadResponse([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Results); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Proves: IS-SEND-5
func TestReadResponseRefuses(t *testing.T) {
	wrap := func(s string) string {
		return `<schedule-response xmlns="urn:ietf:params:xml:ns:ischedule">` + s + `</schedule-response>`
	}
	for _, tc := range []struct{ rule, body string }{
		{"nothing", ""},
		{"plain text", "500 oops"},
		{"an error document", `<error xmlns="urn:ietf:params:xml:ns:ischedule"/>`},
		{"another namespace", `<schedule-response xmlns="urn:x"/>`},
		{"a DTD", `<!DOCTYPE a [<!ENTITY x "y">]>` + wrap("")},
		{"an undefined entity", wrap("&x;")},
		{"mismatched tags", wrap("<response>")},
		{"a cut document", wrap("<response/>")[:90]},
		{"deep nesting", wrap(strings.Repeat("<response>", 40) + strings.Repeat("</response>", 40))},
		{"too many responses", wrap(strings.Repeat("<response><recipient>a@b.example</recipient></response>", 10001))},
		{"too many elements", wrap(strings.Repeat("<x/>", 50001))},
		{"endless calendar-data", wrap("<response><recipient>a@b.example</recipient><calendar-data>" + strings.Repeat("x", ischedule.MaxCalendarDataBytes+1) + "</calendar-data></response>")},
		{"endless calendar-data in pieces", wrap("<response><recipient>a@b.example</recipient><calendar-data>" + strings.Repeat(strings.Repeat("x", 1<<16)+"<!---->", 17) + "</calendar-data></response>")},
		{"an endless tag", wrap("<x " + strings.Repeat("a='' ", 300000) + "/>")},
		{"an endless document", wrap(strings.Repeat("<!-- -->", ischedule.MaxResponseBytes/8))},
		{"invalid UTF-8", wrap("\xff")},
		{"UTF-16", "\xfe\xff\x00<"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			r, err := ischedule.ReadResponse([]byte(tc.body))
			if !errors.Is(err, ischedule.ErrDocument) {
				t.Fatalf("%+v, %v", r, err)
			}
		})
	}
}

// Proves: IS-RECV-8, IS-SEND-5
func TestResponseRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[!-~](é?[ -~]{0,3}[!-~]){0,10}`)
	lines := rapid.SliceOfN(rapid.StringMatching(`[A-Z][\t -~é<>&]{0,20}[!-~]`), 1, 5)
	rapid.Check(t, func(t *rapid.T) {
		var want ischedule.Response
		for range rapid.IntRange(0, 4).Draw(t, "results") {
			result := ischedule.RecipientResult{
				Recipient: text.Draw(t, "recipient"),
				Status:    ischedule.StatusDelivered,
			}
			if rapid.Bool().Draw(t, "data") {
				result.CalendarData = []byte(strings.Join(lines.Draw(t, "lines"), "\r\n") + "\r\n")
			}
			if rapid.Bool().Draw(t, "described") {
				result.Description = strings.Join(strings.Fields(text.Draw(t, "description")), " ")
			}
			want.Results = append(want.Results, result)
		}
		got, err := ischedule.ReadResponse(want.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte(`<schedule-response xmlns="urn:ietf:params:xml:ns:ischedule"><response><recipient>mailto:a@b.example</recipient><request-status>2.0;Success</request-status><calendar-data><![CDATA[` + freeBusy[:60] + `]]></calendar-data></response></schedule-response>`))
	f.Add([]byte(`<I:schedule-response xmlns:I="urn:ietf:params:xml:ns:ischedule"><I:response><I:recipient>a</I:recipient><I:request-status>3.7</I:request-status><I:response-description> x&#10;y </I:response-description></I:response></I:schedule-response>`))
	f.Add([]byte(`<error xmlns="urn:ietf:params:xml:ns:ischedule"><max-recipients/></error>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, ok := ischedule.ReadError(403, body); ok && (e == nil || len(e.Name) > 64 || strings.ContainsAny(e.Description, "\r\n\x00")) {
			t.Fatalf("%+v", e)
		}
		r, err := ischedule.ReadResponse(body)
		if err != nil {
			if r != nil || !errors.Is(err, ischedule.ErrDocument) {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		for _, result := range r.Results {
			if result.Recipient == "" || strings.ContainsAny(result.Status.Text+result.Description, "\r\n\x00") {
				t.Fatalf("%+v", result)
			}
			data := result.CalendarData
			if len(data) > 0 && (!bytes.HasSuffix(data, []byte("\r\n")) || bytes.Count(data, []byte("\n")) != bytes.Count(data, []byte("\r\n"))) {
				t.Fatalf("line ends of %q", data)
			}
		}
		// What was understood can be written, and is read again.
		again, err := ischedule.ReadResponse(r.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Results) > len(r.Results) {
			t.Fatal(cmp.Diff(r, again))
		}
	})
}

func BenchmarkReadResponse(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d-recipients", n), func(b *testing.B) {
			var r ischedule.Response
			for i := range n {
				r.Results = append(r.Results, ischedule.RecipientResult{
					Recipient: fmt.Sprintf("mailto:user%d@example.org", i), Status: ischedule.StatusDelivered,
					CalendarData: bytes.Repeat([]byte("FREEBUSY:20261122T100000Z/20261122T110000Z\r\n"), 20),
				})
			}
			body := r.Marshal()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ischedule.ReadResponse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarshalResponse(b *testing.B) {
	r := ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: "mailto:user@example.org", Status: ischedule.StatusDelivered}}}
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Marshal()
	}
}
