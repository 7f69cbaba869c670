package itip_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

var answeredAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Proves: IS-BACK-1, IS-ITIP-4
func TestReplyOf(t *testing.T) {
	parties := "\nORGANIZER;CN=Ada;SCHEDULE-STATUS=1.2:" + ada + "\nATTENDEE;CN=\"Bob, B\";RSVP=TRUE;X-NUM=0;PARTSTAT=NEEDS-ACTION:" + bob + "\nATTENDEE:mailto:carol@receiver.example"
	series := calendar(berlin+strings.ReplaceAll(berlin, "Europe/Berlin", "Unused"), "SEQUENCE:3\nSUMMARY;X-A=b:Plan\nDTSTART;TZID=Europe/Berlin:20261125T140000\nDTEND;TZID=Europe/Berlin:20261125T150000\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20261126T140000"+parties+
		"\nCOMMENT:will be late\nCOMMENT;X-CALFED-NOTE=\"20261101T100000Z  mailto:carol@receiver.example\":no\nX-SECRET:1\nBEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT5M\nEND:VALARM",
		"RECURRENCE-ID;TZID=Europe/Berlin:20261129T140000\nDTSTART:20261129T160000Z\nDURATION:PT1H\nSEQUENCE:4"+parties)
	const first = "UID:u\nSEQUENCE:3\nDTSTART;TZID=Europe/Berlin:20261125T140000\nDTEND;TZID=Europe/Berlin:20261125T150000\nSUMMARY:Plan\n"
	who := func(partstat string) string {
		return "DTSTAMP:20261122T120000Z\nORGANIZER;CN=Ada:" + ada + "\nATTENDEE;CN=\"Bob, B\";PARTSTAT=" + partstat + ":" + bob + "\n"
	}
	implied := func(at, partstat string) string {
		return "DTSTART;TZID=Europe/Berlin:" + at + "\nRECURRENCE-ID;TZID=Europe/Berlin:" + at + "\nUID:u\nSEQUENCE:3\nSUMMARY:Plan\n" + who(partstat)
	}
	own := "UID:u\nSEQUENCE:4\nRECURRENCE-ID;TZID=Europe/Berlin:20261129T140000\nDTSTART:20261129T160000Z\nDURATION:PT1H\n"
	tests := []struct {
		name    string
		answers map[string]string
		want    []string // components
	}{
		{"the series", map[string]string{"": "ACCEPTED"}, []string{first + who("ACCEPTED") + "COMMENT:will be late\n"}},
		{"an instance with a component of its own", map[string]string{"20261129T130000Z": "TENTATIVE"}, []string{own + who("TENTATIVE")}},
		{"an instance that was struck out", map[string]string{"20261126T130000Z": "DECLINED"}, []string{implied("20261126T140000", "DECLINED")}},
		{"an instance that only the rule makes", map[string]string{"20261127T130000Z": "DECLINED"}, []string{implied("20261127T140000", "DECLINED")}},
		{
			"several, in the order of their ids", map[string]string{"20261129T130000Z": "DECLINED", "": "ACCEPTED", "20261126T130000Z": "DECLINED"},
			[]string{first + who("ACCEPTED") + "COMMENT:will be late\n", implied("20261126T140000", "DECLINED"), own + who("DECLINED")},
		},
		{"no instance is left out", map[string]string{"": "ACCEPTED", "20261126T140000Z": "DECLINED"}, []string{first + who("ACCEPTED") + "COMMENT:will be late\n"}},
		{"nothing stays", map[string]string{"20261126T140000Z": "DECLINED", "nonsense": "DECLINED"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := itip.ReplyOf(series, cua.MustParse(bob), test.answers, answeredAt)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == nil {
				if got != nil {
					t.Errorf("made\n%s", got)
				}
				return
			}
			flat := strings.NewReplacer("\r\n ", "", "\r\n", "\n").Replace(string(got))
			var parts []string
			for _, p := range strings.SplitAfter(flat, "BEGIN:VEVENT\n")[1:] {
				p, _, _ = strings.Cut(p, "END:VEVENT\n")
				parts = append(parts, p)
			}
			if diff := cmp.Diff(test.want, parts); diff != "" {
				t.Error(diff)
			}
			if n := strings.Count(flat, "BEGIN:VTIMEZONE"); (n == 1) != strings.Contains(flat, ";TZID=") || strings.Contains(flat, "Unused") {
				t.Errorf("zones:\n%s", flat)
			}
			m, err := itip.Inspect(got, itip.Limits{}, 0)
			if err != nil || m.Method != "REPLY" || len(m.Violations) > 0 {
				t.Errorf("as a message: %v, %+v in\n%s", err, m, got)
			}
			if err := m.CheckParties(cua.MustParse(bob), []cua.Address{cua.MustParse(ada)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A reply can take the place of an object that is gone.
func TestReplyOfAReply(t *testing.T) {
	object := calendar(berlin, "SEQUENCE:3\nDTSTART;TZID=Europe/Berlin:20261125T140000\nORGANIZER:"+ada+"\nATTENDEE;PARTSTAT=ACCEPTED:"+bob)
	kept, err := itip.ReplyOf(object, cua.MustParse(bob), map[string]string{"": "ACCEPTED"}, answeredAt)
	if err != nil {
		t.Fatal(err)
	}
	got, err := itip.ReplyOf(kept, cua.MustParse(bob), map[string]string{"": "DECLINED"}, answeredAt.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("ACCEPTED", "DECLINED", "T120000Z", "T130000Z").Replace(string(kept))
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestReplyOfRefuses(t *testing.T) {
	event := "DTSTART:20261125T140000Z\nRRULE:FREQ=DAILY\nSUMMARY:Plan\nORGANIZER:" + ada + "\nATTENDEE;PARTSTAT=ACCEPTED:" + bob
	many := map[string]string{}
	for day := range 28 {
		many[time.Date(2026, 12, 1+day, 14, 0, 0, 0, time.UTC).Format("20060102T150405Z")] = "DECLINED"
	}
	tests := []struct {
		name, reason string
		object       []byte
		answers      map[string]string
	}{
		{"nonsense", "line-name", []byte("nonsense"), map[string]string{"": "ACCEPTED"}},
		{"somebody who is not asked", "reply-parties", calendar("", strings.ReplaceAll(event, bob, "mailto:eve@sender.example")), map[string]string{"": "ACCEPTED"}},
		{"nobody who asks", "reply-parties", calendar("", strings.ReplaceAll(event, "ORGANIZER:"+ada+"\n", "")), map[string]string{"": "ACCEPTED"}},
		{"what is no answer", "reply-partstat", calendar("", event), map[string]string{"": "ACCEPTED:mailto:eve@sender.example"}},
		{"no event", "reply-component", bytes.ReplaceAll(calendar("", strings.ReplaceAll(event, "RRULE:FREQ=DAILY\n", "")), []byte("VEVENT"), []byte("VJOURNAL")), map[string]string{"": "ACCEPTED"}},
		{"a long line many times over", "message-bytes", calendar("", strings.Replace(event, "Plan", strings.Repeat("x", 60<<10), 1)), many},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := itip.ReplyOf(test.object, cua.MustParse(bob), test.answers, answeredAt)
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason != test.reason {
				t.Errorf("%v, want %s; made %d octets", err, test.reason, len(got))
			}
		})
	}
}

// Whatever a calendar holds: what is made of it is a message of its user to its organizer, or nothing is.
func FuzzReplyOf(f *testing.F) {
	stored, messages := corpus(f)
	for _, o := range append(stored, messages...) {
		f.Add(o, "", "ACCEPTED")
		f.Add(o, "20261202T140000Z", "DECLINED")
	}
	f.Fuzz(func(t *testing.T, object []byte, id, partstat string) {
		read, err := itip.Summarize(object, cua.MustParse(bob))
		if err != nil || len(read) == 0 {
			return
		}
		for _, a := range []cua.Address{cua.MustParse(bob), cua.MustParse("mailto:bob@receiver.example")} {
			got, err := itip.ReplyOf(object, a, map[string]string{id: partstat}, answeredAt)
			if err != nil || got == nil {
				continue
			}
			m, err := itip.Inspect(got, itip.Limits{}, 0)
			if err != nil {
				t.Fatalf("%v in\n%s", err, got)
			}
			if err := m.CheckParties(a, []cua.Address{m.Organizer}); err != nil {
				t.Fatalf("%v in\n%s", err, got)
			}
			if strings.ToUpper(partstat) != m.Instances[0].Attendees[0].PartStat {
				t.Errorf("says %s", m.Instances[0].Attendees[0].PartStat)
			}
		}
	})
}
