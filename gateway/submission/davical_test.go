package submission_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/submission"
)

// TestDAViCalOriginator: DAViCal names who is logged in as Originator, be it an assistant or this gateway's own account. Who sends
// is the ORGANIZER, of the domain that the key is pinned for.
//
// Proves: IS-SUB-1, IS-SEND-4
func TestDAViCalOriginator(t *testing.T) {
	event := func(organizer string) string {
		return strings.ReplaceAll("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//DAViCal//EN\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1\n"+
			"DTSTAMP:20261122T110000Z\nDTSTART:20261125T140000Z\nORGANIZER:mailto:"+organizer+"\nATTENDEE:mailto:bob@peer.example\n"+
			"END:VEVENT\nEND:VCALENDAR\n", "\n", "\r\n")
	}
	for _, tc := range []struct {
		name, originator, body string
		as                     string // "" = refused
	}{
		{"the organizer", "anna@sender.example", event("anna@sender.example"), "anna@sender.example"},
		{"an assistant", "tom@sender.example", event("anna@sender.example"), "anna@sender.example"},
		{"an account of elsewhere", "admin@elsewhere.example", event("anna@sender.example"), "anna@sender.example"},
		{"an organizer of elsewhere", "anna@sender.example", event("eve@elsewhere.example"), ""},
		{"no organizer to read, an account of elsewhere", "admin@elsewhere.example", body, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := &recorder{}
			req := post(with("Authorization", ""), with("Originator", "mailto:"+tc.originator))
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(tc.body)), int64(len(tc.body))
			signer := &dkim.Signer{Domain: "keys.example", Selector: "sel", Key: ownKey()}
			value, err := signer.SignDraft01(req.Host, req.Header, []byte(tc.body), sent)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("DKIM-Signature", value)
			w := serve(newHandler(t, out, func(c *submission.Config) { c.Now = func() time.Time { return sent } }), req)
			switch {
			case tc.as == "":
				if w.Code != 403 || len(out.got) > 0 {
					t.Errorf("%d %s, sent %d times", w.Code, w.Body, len(out.got))
				}
			case len(out.got) != 1:
				t.Fatalf("%d %s", w.Code, w.Body)
			default:
				if got := out.got[0].Request.Originator.String(); got != "mailto:"+tc.as {
					t.Errorf("sent as %s, want %s", got, tc.as)
				}
			}
		})
	}
}
