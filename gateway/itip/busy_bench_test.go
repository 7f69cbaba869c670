package itip_test

import (
	"bytes"
	"testing"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// The busy time of two months by one object: a single event outside the range, as most of a calendar is, a weekly meeting that
// began this year, and a daily one that began in 1990.
var busyObjects = []struct {
	name   string
	object []byte
}{
	{"single", calendar(berlin, "DTSTART;TZID=Europe/Berlin:20250105T090000\nDTEND;TZID=Europe/Berlin:20250105T100000\nSUMMARY:x")},
	{"weekly", calendar(berlin, "DTSTART;TZID=Europe/Berlin:20260105T090000\nDTEND;TZID=Europe/Berlin:20260105T100000\nSUMMARY:x\nRRULE:FREQ=WEEKLY;BYDAY=MO")},
	{"daily", calendar(berlin, "DTSTART;TZID=Europe/Berlin:19900101T090000\nDTEND;TZID=Europe/Berlin:19900101T100000\nSUMMARY:x\nRRULE:FREQ=DAILY")},
}

func BenchmarkBusy(b *testing.B) {
	owner := cua.MustParse("mailto:ada@sender.example")
	for _, o := range busyObjects {
		b.Run(o.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := itip.Busy(o.object, owner, nil, day("20261101T000000Z"), day("20270101T000000Z")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGoICalBusy is the baseline: go-ical with rrule-go, which honour neither overrides nor what takes no time.
func BenchmarkGoICalBusy(b *testing.B) {
	for _, o := range busyObjects {
		b.Run(o.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cal, err := ical.NewDecoder(bytes.NewReader(o.object)).Decode()
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range cal.Events() {
					set, err := e.RecurrenceSet(nil)
					if err != nil {
						b.Fatal(err)
					}
					if set != nil {
						set.Between(day("20261101T000000Z"), day("20270101T000000Z"), true)
					}
				}
			}
		})
	}
}
