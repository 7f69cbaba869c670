package itip_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// What answers a REFRESH is the organizer's object without what is the organizer's own, and of the series what the asking
// attendee is invited to.
//
// Proves: IS-BACK-4
func TestRefreshed(t *testing.T) {
	const parties = "\nORGANIZER;SCHEDULE-AGENT=SERVER:" + ada + "\nATTENDEE;PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0;X-CALFED-REPLY=20261101T100000Z;CN=B:" + bob
	const shown = "\nORGANIZER:" + ada + "\nATTENDEE;PARTSTAT=ACCEPTED;CN=B:" + bob
	const others = "\nORGANIZER:" + ada + "\nATTENDEE:mailto:carol@receiver.example"
	const series = "DTSTART:20261125T140000Z\nRRULE:FREQ=DAILY\nSUMMARY:x"
	at := func(d string) string {
		return "RECURRENCE-ID:202611" + d + "T140000Z\nDTSTART:202611" + d + "T160000Z\nSUMMARY:y"
	}
	for _, c := range []struct {
		name    string
		stored  []byte
		outcome itip.Outcome
		method  string
		want    []byte
	}{
		{"what is the organizer's own stays", calendar("X-WR-CALNAME:Private\r\n", series+parties+"\nX-MINE:1\nCOMMENT:for all\nCOMMENT;X-CALFED-NOTE=\"20261102T100000Z  mailto:carol@receiver.example\":carol proposes\nBEGIN:VALARM\nACTION:DISPLAY\nEND:VALARM\nBEGIN:X-OWN\nX:y\nEND:X-OWN"),
			itip.Answer, "REQUEST", calendar("", series+shown+"\nCOMMENT:for all")},
		{"overrides come along", calendar("", series+parties, at("26")+parties), itip.Answer, "REQUEST", calendar("", series+shown, at("26")+shown)},
		{"a cancelled override is excluded", calendar("", series+parties, at("26")+parties+"\nSTATUS:CANCELLED"), itip.Answer, "REQUEST", calendar("", series+shown+"\nEXDATE:20261126T140000Z")},
		{"an override without the attendee is excluded", calendar("", series+parties, at("26")+others), itip.Answer, "REQUEST", calendar("", series+shown+"\nEXDATE:20261126T140000Z")},
		{"of a series of others only the attendee's instances are told", calendar("", series+others, at("26")+parties, at("27")+others), itip.Answer, "REQUEST", calendar("", at("26")+shown)},
		{"what is cancelled is answered with that", calendar("", series+parties+"\nSTATUS:CANCELLED"), itip.Answer, "CANCEL", calendar("", series+shown+"\nSTATUS:CANCELLED")},
		{"somebody not invited learns nothing", calendar("", series+others), itip.NoAuthority, "", nil},
		{"free/busy is refreshed by asking", []byte(strings.ReplaceAll(string(calendar("", "DTSTART:20261125T140000Z\nDTEND:20261126T140000Z"+parties)), "VEVENT", "VFREEBUSY")), itip.Unsupported, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, outcome, err := itip.Refreshed(c.stored, cua.MustParse(strings.ToUpper(bob[:7])+bob[7:]))
			if err != nil || outcome != c.outcome {
				t.Fatalf("outcome %s, %v", outcomes[outcome], err)
			}
			if c.want == nil {
				if got != nil {
					t.Errorf("told:\n%s", got)
				}
				return
			}
			want := strings.Replace(string(c.want), "BEGIN:VEVENT", "METHOD:"+c.method+"\r\nBEGIN:VEVENT", 1)
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Error(diff)
			}
			m, err := itip.Inspect(got, itip.Limits{}, 0)
			if err != nil || m.Method != c.method {
				t.Errorf("no message: %v", err)
			}
		})
	}
	var e *itip.Error
	if _, _, err := itip.Refreshed([]byte("nonsense"), cua.MustParse(bob)); !errors.As(err, &e) {
		t.Error(err)
	}
}

// An attendee who lost the object gets it back by REFRESH.
//
// Proves: IS-BACK-4
func TestRefreshedIsAppliedByTheAttendee(t *testing.T) {
	organizers := calendar(berlin, "DTSTART;TZID=Europe/Berlin:20261125T140000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY\nSUMMARY:x\nORGANIZER:"+ada+"\nATTENDEE;PARTSTAT=ACCEPTED:"+bob)
	answer, outcome, err := itip.Refreshed(organizers, cua.MustParse(bob))
	if err != nil || outcome != itip.Answer {
		t.Fatal(outcome, err)
	}
	got, outcome, err := itip.Apply(nil, answer, inspect(t, answer), cua.MustParse(ada), cua.MustParse(bob))
	if err != nil || outcome != itip.Stored || !bytes.Equal(got, organizers) {
		t.Errorf("outcome %s, %v:\n%s", outcomes[outcome], err, got)
	}
}
