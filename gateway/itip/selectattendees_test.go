package itip_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// Proves: IS-SEND-3
func TestSelectAttendeesKeepsAllElseByteForByte(t *testing.T) {
	body := crlf(`
BEGIN:VCALENDAR
VERSION:2.0
PRODID:x
METHOD:REQUEST
BEGIN:VFREEBUSY
UID:1
X-ATTENDEE:mailto:eve@evil.example
ATTENDEE;CN="a
 b":mailto:eve@evil
	.example
ATTENDEE;X=^n:MAILTO:bob@receiver.example
attendee:mailto:carol@receiver.example
BEGIN:VALARM
ATTENDEE:mailto:eve@evil.example
END:VALARM
END:VFREEBUSY
BEGIN:X-THING
ATTENDEE:mailto:eve@evil.example
END:X-THING
END:VCALENDAR
`)
	got, err := itip.SelectAttendees(body, func(a cua.Address) bool { return a.Equal(cua.MustParse(bob)) })
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(body), "ATTENDEE;CN=\"a\r\n b\":mailto:eve@evil\r\n\t.example\r\n", "", 1)
	want = strings.Replace(want, "attendee:mailto:carol@receiver.example\r\n", "", 1)
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

// Proves: IS-SEND-3
func TestSelectAttendeesLeavesExactlyTheRecipients(t *testing.T) {
	const room = "https://receiver.example/principals/room"
	body := message("REQUEST", "VFREEBUSY", "ATTENDEE:"+eve, "ATTENDEE:mailto:carol@receiver.example", "ATTENDEE:"+room)
	recipients := addresses(bob, eve, room)
	got, err := itip.SelectAttendees(body, func(a cua.Address) bool { return slices.ContainsFunc(recipients, a.Equal) })
	if err != nil {
		t.Fatal(err)
	}
	if err := inspect(t, got).CheckParties(cua.MustParse(ada), recipients); err != nil {
		t.Error(err)
	}
}

func TestSelectAttendeesRefusesWhatIsNoCalendar(t *testing.T) {
	for _, body := range []string{"", "ATTENDEE:x\r\n", "BEGIN:VCALENDAR\r\n", "BEGIN:VCALENDAR\r\nA\x00:b\r\nEND:VCALENDAR\r\n"} {
		_, err := itip.SelectAttendees([]byte(body), func(cua.Address) bool { return true })
		var e *itip.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`[A-Z]{1,8}:[ -~äöü€😀]{0,300}`).Draw(t, "line")
		out := itip.Fold([]byte("before"), line)
		out, ok := bytes.CutPrefix(out, []byte("before"))
		if !ok || !bytes.HasSuffix(out, []byte("\r\n")) {
			t.Fatalf("%q", out)
		}
		for physical := range bytes.SplitSeq(out, []byte("\r\n")) {
			if len(physical) > 75 || !utf8.Valid(physical) {
				t.Fatalf("physical line %q", physical)
			}
		}
		if got := strings.ReplaceAll(strings.TrimSuffix(string(out), "\r\n"), "\r\n ", ""); got != line {
			t.Fatalf("unfolds to %q, want %q", got, line)
		}
	})
	if got := itip.Fold(nil, strings.Repeat("\x80", 160)); bytes.Count(got, []byte("\r\n")) != 3 {
		t.Errorf("%q", got)
	}
}
