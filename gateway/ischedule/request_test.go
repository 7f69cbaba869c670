package ischedule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

// header is a valid request's header with some fields replaced; nil removes one.
func header(changes http.Header) http.Header {
	h := http.Header{
		ischedule.HeaderVersion:    {"1.0"},
		ischedule.HeaderMessageID:  {"798F00BB-5B45-4634-B083-0D0CD3A2BB39"},
		ischedule.HeaderOriginator: {"mailto:bernard@example.com"},
		ischedule.HeaderRecipient:  {"mailto:cyrus@example.org"},
		"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
	}
	for name, values := range changes {
		if values == nil {
			h.Del(name)
		} else {
			h[name] = values
		}
	}
	return h
}

func spellings(addresses []cua.Address) (out []string) {
	for _, a := range addresses {
		out = append(out, a.String())
	}
	return out
}

// Proves: IS-RECV-6, IS-RECV-7
func TestReadRequestAccepts(t *testing.T) {
	type read struct {
		MessageID, Originator string
		Recipients, Bad       []string
		Component, Method     string
	}
	plain := read{
		"798F00BB-5B45-4634-B083-0D0CD3A2BB39", "mailto:bernard@example.com",
		[]string{"mailto:cyrus@example.org"}, nil, "VEVENT", "REQUEST",
	}
	with := func(change func(*read)) read { r := plain; change(&r); return r }
	for _, tc := range []struct {
		rule    string
		changes http.Header
		want    read
	}{
		{"the draft's example", nil, plain},
		{"several Recipient fields", http.Header{"Recipient": {"mailto:a@example.org", "mailto:b@example.org"}},
			with(func(r *read) { r.Recipients = []string{"mailto:a@example.org", "mailto:b@example.org"} })},
		{"a comma list is the same", http.Header{"Recipient": {"mailto:a@example.org,mailto:b@example.org"}},
			with(func(r *read) { r.Recipients = []string{"mailto:a@example.org", "mailto:b@example.org"} })},
		{"blanks around commas, empty elements", http.Header{"Recipient": {" mailto:a@example.org ,\tmailto:b@example.org,,", ""}},
			with(func(r *read) { r.Recipients = []string{"mailto:a@example.org", "mailto:b@example.org"} })},
		{"duplicates once, the first spelling kept", http.Header{"Recipient": {"MAILTO:a@Example.org,a@example.org", "mailto:%61@example.org"}},
			with(func(r *read) { r.Recipients = []string{"MAILTO:a@Example.org"} })},
		{"Cyrus: a Recipient without mailto", http.Header{"Recipient": {"guest@gw.example"}},
			with(func(r *read) { r.Recipients = []string{"guest@gw.example"} })},
		{"invalid recipients stand apart, once", http.Header{"Recipient": {"nobody,mailto:a@example.org,mailto:x@[::1],nobody"}},
			with(func(r *read) {
				r.Recipients, r.Bad = []string{"mailto:a@example.org"}, []string{"nobody", "mailto:x@[::1]"}
			})},
		{"Cyrus: a Message-ID that is no token", http.Header{ischedule.HeaderMessageID: {"<cmu-ischedule-4165-1795348663-0@cal.example.org>"}},
			with(func(r *read) { r.MessageID = "<cmu-ischedule-4165-1795348663-0@cal.example.org>" })},
		{"255 characters of Message-ID", http.Header{ischedule.HeaderMessageID: {strings.Repeat("~", 255)}},
			with(func(r *read) { r.MessageID = strings.Repeat("~", 255) })},
		{"no Message-ID", http.Header{ischedule.HeaderMessageID: nil}, with(func(r *read) { r.MessageID = "" })},
		{"a list of versions", http.Header{ischedule.HeaderVersion: {"2.0 , 1.0"}}, plain},
		{"no parameters: the policy's to judge", http.Header{"Content-Type": {"text/calendar"}},
			with(func(r *read) { r.Component, r.Method = "", "" })},
		{"parameters in any case and order, quoted", http.Header{"Content-Type": {`Text/Calendar;METHOD=request; Component="vevent";charset="UTF-8";`}}, plain},
		{"identity is no encoding", http.Header{"Content-Encoding": {"identity"}}, plain},
		{"an originator without mailto", http.Header{"Originator": {" bernard@example.com "}},
			with(func(r *read) { r.Originator = "bernard@example.com" })},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			h := header(tc.changes)
			req, bad, err := ischedule.ReadRequest(h, []byte("body"), 3)
			if err != nil {
				t.Fatal(err)
			}
			got := read{req.MessageID, req.Originator.String(), spellings(req.Recipients), bad, req.Component, req.Method}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if string(req.Body) != "body" || req.ContentType != h.Get("Content-Type") {
				t.Errorf("body %q, Content-Type %q", req.Body, req.ContentType)
			}
		})
	}
}

// Proves: IS-RECV-2, IS-RECV-3, IS-RECV-6, IS-RECV-7, IS-ADDR-1
func TestReadRequestRefuses(t *testing.T) {
	for _, tc := range []struct {
		rule    string
		changes http.Header
		name    ischedule.ErrorName
		status  int
		reason  string
	}{
		{"no version", http.Header{ischedule.HeaderVersion: nil}, ischedule.VersionNotSupported, 400, "version-missing"},
		{"another version", http.Header{ischedule.HeaderVersion: {"1.1"}}, ischedule.VersionNotSupported, 400, "version-unknown"},
		{"two version fields", http.Header{ischedule.HeaderVersion: {"1.0", "1.0"}}, ischedule.VersionNotSupported, 400, "version-duplicate"},
		{"no Content-Type", http.Header{"Content-Type": nil}, ischedule.InvalidCalendarDataType, 400, "content-type-missing"},
		{"an empty Content-Type", http.Header{"Content-Type": {""}}, ischedule.InvalidCalendarDataType, 400, "content-type-missing"},
		{"two Content-Type fields", http.Header{"Content-Type": {"text/calendar", "text/calendar"}}, ischedule.InvalidCalendarDataType, 400, "content-type-duplicate"},
		{"two joined Content-Types", http.Header{"Content-Type": {"text/calendar; method=REQUEST, text/calendar; method=CANCEL"}}, ischedule.InvalidCalendarDataType, 400, "content-type-syntax"},
		{"a parameter twice", http.Header{"Content-Type": {"text/calendar; method=REQUEST; method=CANCEL"}}, ischedule.InvalidCalendarDataType, 400, "content-type-syntax"},
		{"a method that is no name", http.Header{"Content-Type": {`text/calendar; method="RE QUEST"`}}, ischedule.InvalidCalendarDataType, 400, "content-type-syntax"},
		{"an endless method", http.Header{"Content-Type": {`text/calendar; method=` + strings.Repeat("A", 65)}}, ischedule.InvalidCalendarDataType, 400, "content-type-syntax"},
		{"an endless Content-Type", http.Header{"Content-Type": {`text/calendar; x=` + strings.Repeat("A", 1024)}}, ischedule.InvalidCalendarDataType, 400, "content-type-syntax"},
		{"another media type", http.Header{"Content-Type": {"application/calendar+json"}}, ischedule.InvalidCalendarDataType, 400, "content-type"},
		{"another charset", http.Header{"Content-Type": {"text/calendar; charset=iso-8859-1"}}, ischedule.InvalidCalendarDataType, 400, "charset"},
		{"an empty charset", http.Header{"Content-Type": {`text/calendar; charset=""`}}, ischedule.InvalidCalendarDataType, 400, "charset"},
		{"a Content-Encoding", http.Header{"Content-Encoding": {"gzip"}}, ischedule.InvalidCalendarDataType, 415, "content-encoding"},
		{"a second Content-Encoding", http.Header{"Content-Encoding": {"identity", "gzip"}}, ischedule.InvalidCalendarDataType, 415, "content-encoding"},
		{"no Originator", http.Header{"Originator": nil}, ischedule.OriginatorMissing, 400, "originator-missing"},
		{"an empty Originator", http.Header{"Originator": {" "}}, ischedule.OriginatorMissing, 400, "originator-missing"},
		{"two Originators", http.Header{"Originator": {"mailto:a@example.com", "mailto:a@example.com"}}, ischedule.TooManyOriginators, 400, "originator-duplicate"},
		{"joined Originators", http.Header{"Originator": {"mailto:a@example.com,mailto:b@example.com"}}, ischedule.TooManyOriginators, 400, "originator-duplicate"},
		{"an Originator that is no address", http.Header{"Originator": {"mailto:a@b@example.com"}}, ischedule.OriginatorInvalid, 400, "address-syntax"},
		{"no Recipient", http.Header{"Recipient": nil}, ischedule.RecipientMissing, 400, "recipient-missing"},
		{"an empty Recipient", http.Header{"Recipient": {" ,, "}}, ischedule.RecipientMissing, 400, "recipient-missing"},
		{"no valid Recipient", http.Header{"Recipient": {"nobody"}}, ischedule.RecipientMissing, 400, "address-syntax"},
		{"too many Recipients", http.Header{"Recipient": {"a@example.org,b@example.org", "c@example.org"}}, ischedule.MaxRecipients, 403, "max-recipients"},
		{"too many Recipients, invalid ones counted", http.Header{"Recipient": {"a@example.org,b,c"}}, ischedule.MaxRecipients, 403, "max-recipients"},
		{"two Message-IDs", http.Header{ischedule.HeaderMessageID: {"a", "a"}}, ischedule.InvalidSchedulingMessage, 400, "message-id-duplicate"},
		{"joined Message-IDs", http.Header{ischedule.HeaderMessageID: {"a, b"}}, ischedule.InvalidSchedulingMessage, 400, "message-id-syntax"},
		{"a Message-ID outside ASCII", http.Header{ischedule.HeaderMessageID: {"ä"}}, ischedule.InvalidSchedulingMessage, 400, "message-id-syntax"},
		{"a long Message-ID", http.Header{ischedule.HeaderMessageID: {strings.Repeat("a", 256)}}, ischedule.InvalidSchedulingMessage, 400, "message-id-syntax"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			req, _, err := ischedule.ReadRequest(header(tc.changes), nil, 2)
			if err == nil || req != nil {
				t.Fatalf("accepted: %+v", req)
			}
			if err.Name != tc.name || err.Status != tc.status || err.Reason != tc.reason {
				t.Errorf("%v %d %v, want %v %d %v", err.Name, err.Status, err.Reason, tc.name, tc.status, tc.reason)
			}
			if err.Description == "" || strings.Contains(err.Description, "example") {
				t.Errorf("description %q", err.Description)
			}
		})
	}
}

// Proves: IS-RECV-1
func TestReadRequestChecksInOrder(t *testing.T) {
	changes := http.Header{
		ischedule.HeaderVersion: nil, "Content-Type": nil, "Originator": nil, "Recipient": nil, ischedule.HeaderMessageID: {"a b"},
	}
	valid := header(nil)
	for _, step := range []struct {
		name  ischedule.ErrorName
		field string
	}{
		{ischedule.VersionNotSupported, ischedule.HeaderVersion},
		{ischedule.InvalidCalendarDataType, "Content-Type"},
		{ischedule.OriginatorMissing, "Originator"},
		{ischedule.RecipientMissing, "Recipient"},
		{ischedule.InvalidSchedulingMessage, ischedule.HeaderMessageID},
	} {
		_, _, err := ischedule.ReadRequest(header(changes), nil, 0)
		if err == nil || err.Name != step.name {
			t.Fatalf("%v, want %s", err, step.name)
		}
		changes[step.field] = valid[step.field]
	}
	if _, _, err := ischedule.ReadRequest(header(changes), nil, 0); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add("1.0", "text/calendar; component=VEVENT; method=REQUEST", "mailto:a@example.com", "mailto:b@example.org, c@example.org", "", "id")
	f.Add("2.0,1.0", "text/calendar", "urn:uuid:1", "x", "b@example.org", "<a@b>")
	f.Add("1.0", `text/calendar; method*0="RE"; method*1=QUEST`, "a@b@c", ",", "\x00", " ")
	f.Fuzz(func(t *testing.T, version, contentType, originator, recipient1, recipient2, messageID string) {
		h := http.Header{
			ischedule.HeaderVersion: {version}, "Content-Type": {contentType}, "Originator": {originator},
			"Recipient": {recipient1, recipient2}, ischedule.HeaderMessageID: {messageID},
		}
		req, bad, err := ischedule.ReadRequest(h, nil, 3)
		if err != nil {
			if req != nil || err.Status != err.Name.Status() || err.Reason == "" || err.Description == "" {
				t.Fatalf("%+v, %+v", req, err)
			}
			return
		}
		if len(req.Recipients) == 0 || len(req.Recipients)+len(bad) > 3 || req.Originator.IsZero() || len(req.MessageID) > 255 {
			t.Fatalf("%+v, %q", req, bad)
		}
		keys := make(map[string]bool)
		for _, r := range req.Recipients {
			if keys[r.Key()] {
				t.Fatalf("%q twice", r)
			}
			keys[r.Key()] = true
		}
		if strings.ToUpper(req.Component+req.Method) != req.Component+req.Method {
			t.Fatalf("%q %q", req.Component, req.Method)
		}
		// Two fields and one comma list are the same request.
		h["Recipient"] = []string{recipient1 + "," + recipient2}
		joined, badJoined, err := ischedule.ReadRequest(h, nil, 3)
		if err != nil || !cmp.Equal(spellings(req.Recipients), spellings(joined.Recipients)) || !cmp.Equal(bad, badJoined) {
			t.Fatalf("%v: %q %q, %q %q", err, req.Recipients, bad, joined.Recipients, badJoined)
		}
	})
}

func BenchmarkReadRequest(b *testing.B) {
	h := header(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ischedule.ReadRequest(h, nil, 100); err != nil {
			b.Fatal(err)
		}
	}
}
