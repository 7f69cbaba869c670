package imip_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
)

func report(original []byte) *imip.Report {
	return &imip.Report{
		To: "ada@sender.example", Host: "gw.sender.example", Date: written, Envelope: "QQ314159", Original: original,
		Failures: []imip.Failure{
			{Recipient: "grace@receiver.example", Original: "rfc822;grace+list@receiver.example", Status: ischedule.StatusUnknownUser, Text: "no such\r\nSubject: user\x00"},
			{Recipient: "joan@other.example", Status: ischedule.StatusUnavailable.WithText("connection\r\nrefused")},
			{Recipient: "björn+=@other.example", Code: 550, Enhanced: "5.1.1", Text: "550 5.1.1 nobody here"},
			{Recipient: "full@other.example", Code: 552, Enhanced: "5.2.2"},
			{Recipient: "a b@other.example", Code: 554},
			{Recipient: "c@other.example", Code: 554, Enhanced: "4.0.0"},
			{Recipient: "d@other.example"},
			{Recipient: "e\u202e@other.example", Status: ischedule.RequestStatus{Code: "9.9"}},
		},
	}
}

// A late failure comes back as a notification that people understand and programs can read (RFC 3464).
//
// Proves: IS-SUB-2
func TestReport(t *testing.T) {
	original := invitation(t)
	b, err := imip.ComposeReport(report(original))
	if err != nil {
		t.Fatal(err)
	}
	h, parts := open(t, b)
	kind, params, err := h.ContentType()
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || len(parts) != 3 {
		t.Fatalf("%s %v of %d parts: %v", kind, params, len(parts), err)
	}
	for field, want := range map[string]string{
		"To": "<ada@sender.example>", "From": `"Mail service" <postmaster@gw.sender.example>`, "Auto-Submitted": "auto-replied",
		"Subject": "Not delivered: Invitation: Budget - Wed 25 Nov 2026 15:00 (Europe/Berlin)",
	} {
		if h.Get(field) != want {
			t.Errorf("%s: %s", field, h.Get(field))
		}
	}
	if id := h.Get("In-Reply-To"); id == "" || !bytes.Contains(original, []byte("Message-ID: "+id+"\r\n")) {
		t.Errorf("In-Reply-To: %s", id)
	}
	golden := "testdata/report.txt"
	got := strings.ReplaceAll(parts[0].text, "\r\n", "\n")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
	failed := func(to, status, diagnostic string) string {
		return "\r\nFinal-Recipient: " + to + "\r\nAction: failed\r\nStatus: " + status + "\r\nDiagnostic-Code: " + diagnostic +
			"\r\nLast-Attempt-Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
	}
	status := "Reporting-MTA: dns; gw.sender.example\r\nOriginal-Envelope-Id: QQ314159\r\n" +
		"\r\nOriginal-Recipient: rfc822; grace+list@receiver.example" + failed("rfc822; grace@receiver.example", "5.1.1", "x-calfed; 3.7;Invalid calendar user") +
		failed("rfc822; joan@other.example", "5.4.7", "x-calfed; 5.1;connection refused") +
		failed(`utf-8; bj\x{F6}rn\x{2B}\x{3D}@other.example`, "5.1.1", "smtp; 550 5.1.1") +
		failed("rfc822; full@other.example", "5.2.2", "smtp; 552 5.2.2") +
		failed(`rfc822; "a b"@other.example`, "5.0.0", "smtp; 554") +
		failed("rfc822; c@other.example", "5.0.0", "smtp; 554 4.0.0") +
		failed("rfc822; d@other.example", "5.0.0", "x-calfed; not sent") +
		failed(`utf-8; e\x{202E}@other.example`, "5.0.0", "x-calfed; 9.9")
	if diff := cmp.Diff(status, parts[1].text); parts[1].kind != "message/delivery-status" || diff != "" {
		t.Error(parts[1].kind, diff)
	}
	header, _, _ := strings.Cut(string(original), "\r\n\r\n")
	if parts[2].kind != "text/rfc822-headers" || strings.TrimSpace(parts[2].text) != header {
		t.Errorf("%s: %s", parts[2].kind, parts[2].text)
	}
}

// Each status of ours has its place among those of mail (RFC 3463).
func TestReportStatuses(t *testing.T) {
	for code, want := range map[string]string{
		"3.7": "5.1.1", "3.8": "5.7.1", "3.14": "5.6.1", "5.1": "5.4.7", "5.2": "5.4.4", "5.3": "5.3.3", "4.0": "5.0.0",
	} {
		r := report(nil)
		r.Failures = []imip.Failure{{Recipient: "grace@receiver.example", Status: ischedule.RequestStatus{Code: code}}}
		b, err := imip.ComposeReport(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, parts := open(t, b); !strings.Contains(parts[1].text, "\r\nStatus: "+want+"\r\n") {
			t.Errorf("%s: %s", code, parts[1].text)
		}
	}
}

func TestReportsOfOddMail(t *testing.T) {
	for _, tt := range []struct{ rule, original, subject string }{
		{"none", "", "Not delivered: (no subject)"},
		{"no mail", "nonsense\r\n\r\n", "Not delivered: (no subject)"},
		{"a Subject in another script", "Subject: =?utf-8?q?Fr=C3=BChst=C3=BCck?=\r\n\r\n", "Not delivered: Frühstück"},
		{"a Subject that would be two fields", "Subject: =?utf-8?q?a=0D=0ABcc:_eve@evil.example?=\r\n\r\n", "Not delivered: a Bcc: eve@evil.example"},
		{"a long header", "Subject: x\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("y", 900)+"\r\n", 200) + "\r\n", "Not delivered: x"},
		{"eight bits", "Subject: \xff\xfe\r\nX: ä\r\n\r\n", "Not delivered: (no subject)"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			r := report([]byte(tt.original))
			r.Envelope = "a\r\nX-Evil: b"
			b, err := imip.ComposeReport(r)
			if err != nil {
				t.Fatal(err)
			}
			h, parts := open(t, b)
			if subject, err := h.Text("Subject"); err != nil || subject != tt.subject || h.Has("Bcc") || len(parts) != 3 {
				t.Errorf("%q %v", subject, err)
			}
			if strings.Contains(parts[1].text, "\nX-Evil") || len(b) > 100<<10 {
				t.Errorf("%d octets, %s", len(b), parts[1].text)
			}
			for line := range strings.SplitSeq(string(b), "\r\n") {
				if len(line) > 998 || strings.IndexFunc(line, func(r rune) bool { return r > '~' }) >= 0 {
					t.Errorf("line %q", line)
				}
			}
		})
	}
	for to, want := range map[string]string{
		"a/b@sender.example": "<a/b@sender.example>", "a b@sender.example": `<"a b"@sender.example>`, "50%@sender.example": "<50%@sender.example>",
		"ada@[192.0.2.1]": "<ada@[192.0.2.1]>", "gräfin@sender.example": "<gräfin@sender.example>",
	} {
		r := report(nil)
		r.To = to
		b, err := imip.ComposeReport(r)
		if err != nil {
			t.Fatal(to, err)
		}
		if h, _ := open(t, b); h.Get("To") != want {
			t.Errorf("%s: %s", to, h.Get("To"))
		}
	}
	for _, to := range []string{"", "nobody", "a@b.example\r\nBcc: c@d.example", "https://sender.example/ada"} {
		r := report(nil)
		r.To = to
		if _, err := imip.ComposeReport(r); err == nil {
			t.Errorf("a report to %q", to)
		}
	}
}
