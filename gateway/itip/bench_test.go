package itip_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

const berlin = "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n" +
	"BEGIN:DAYLIGHT\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nDTSTART:19700329T020000\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:DAYLIGHT\r\n" +
	"BEGIN:STANDARD\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nDTSTART:19701025T030000\r\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\n" +
	"END:VTIMEZONE\r\n"

// meeting is an ordinary REQUEST of about size octets: a zone, a rule, attendees with parameters, a folded description.
func meeting(size int) []byte {
	var b []byte
	line := func(s string) { b = itip.Fold(b, s) }
	b = append(b, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//Calendar//EN\r\nMETHOD:REQUEST\r\n"+berlin+"BEGIN:VEVENT\r\n"...)
	line("UID:7d2a9a2e-6b1c-4b5e-9d5f-1f9b6f2d1c11@sender.example")
	line("DTSTAMP:20261122T115743Z")
	line("DTSTART;TZID=Europe/Berlin:20261125T140000")
	line("DTEND;TZID=Europe/Berlin:20261125T150000")
	line("RRULE:FREQ=WEEKLY;BYDAY=WE;UNTIL=20270630T120000Z")
	line("SUMMARY:Quarterly planning\\, second part")
	line("SEQUENCE:3")
	line("STATUS:CONFIRMED")
	line(`ORGANIZER;CN="Müller, Ada":mailto:ada@sender.example`)
	for i := 0; i < max(2, size/300); i++ {
		line(fmt.Sprintf(`ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN="Guest %d":mailto:guest%d@receiver.example`, i, i))
	}
	text := "DESCRIPTION:" + strings.Repeat("Agenda point\\, with a few more words for the record and ümläuts.\\n", 1)
	for len(b)+len(text) < min(size-150, 60<<10) {
		text += "Agenda point\\, with a few more words for the record and ümläuts.\\n"
	}
	line(text)
	b = append(b, "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nDESCRIPTION:soon\r\nEND:VALARM\r\n"...)
	return append(b, "END:VEVENT\r\nEND:VCALENDAR\r\n"...)
}

var sizes = []struct {
	name string
	size int
}{{"2KB", 2 << 10}, {"4KB", 4 << 10}, {"100KB", 100 << 10}}

func BenchmarkInspect(b *testing.B) {
	for _, s := range sizes {
		body := meeting(s.size)
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := itip.Inspect(body, itip.Limits{}, 1000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInspectAndJudge is everything the receiver asks of this package for one message.
func BenchmarkInspectAndJudge(b *testing.B) {
	body := meeting(4 << 10)
	originator := cua.MustParse("mailto:ada@sender.example")
	recipients := []cua.Address{cua.MustParse("mailto:guest1@receiver.example"), cua.MustParse("mailto:guest2@receiver.example")}
	b.ReportAllocs()
	for b.Loop() {
		m, err := itip.Inspect(body, itip.Limits{}, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.CheckParties(originator, recipients); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGoICalDecode is the baseline: a decoder that builds the object tree.
func BenchmarkGoICalDecode(b *testing.B) {
	for _, s := range sizes {
		body := meeting(s.size)
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ical.NewDecoder(bytes.NewReader(body)).Decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
