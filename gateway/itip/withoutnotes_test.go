package itip_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// What one attendee proposed to the organizer, and when who answered, is nobody else's; all else stays as it is.
//
// Proves: IS-BACK-4
func TestWithoutNotes(t *testing.T) {
	const parties = "\nORGANIZER:" + ada + "\nATTENDEE;PARTSTAT=NEEDS-ACTION:" + bob + "\nATTENDEE;PARTSTAT=ACCEPTED:" + eve
	plain := calendar(berlin, "DTSTART:20261125T140000Z\nDTEND:20261125T150000Z\nCOMMENT:Bring cake"+parties)
	counter := calendar("METHOD:COUNTER\r\n", "DTSTART:20261125T160000Z\nDTEND:20261125T170000Z\nCOMMENT:the doctor at three\nORGANIZER:"+ada+"\nATTENDEE:"+bob)
	noted, outcome, err := itip.Apply(plain, counter, inspect(t, counter), cua.MustParse(bob), cua.MustParse(ada))
	if err != nil || outcome != itip.Stored || !strings.Contains(string(noted), "doctor") {
		t.Fatal(outcome, err)
	}
	reply := calendar("METHOD:REPLY\r\n", "ORGANIZER:"+ada+"\nATTENDEE;PARTSTAT=DECLINED:"+eve)
	noted, outcome, err = itip.Apply(noted, reply, inspect(t, reply), cua.MustParse(eve), cua.MustParse(ada))
	if err != nil || outcome != itip.Stored || !strings.Contains(string(noted), "X-CALFED-REPLY") {
		t.Fatal(outcome, err)
	}
	got, err := itip.WithoutNotes(noted)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("PARTSTAT=NEEDS-ACTION:"+bob, "PARTSTAT=TENTATIVE:"+bob, "PARTSTAT=ACCEPTED:"+eve, "PARTSTAT=DECLINED:"+eve).Replace(string(plain))
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if same, err := itip.WithoutNotes(plain); err != nil || &same[0] != &plain[0] {
		t.Error("without notes it is not the same", err)
	}
	var e *itip.Error
	if _, err := itip.WithoutNotes([]byte("nonsense")); !errors.As(err, &e) {
		t.Error(err)
	}
}
