package itip_test

import (
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// An answer of two months with two periods a day, built and read back.
func BenchmarkParseFreeBusy(b *testing.B) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	reply := itip.FreeBusyReply{
		UID: "u", Organizer: cua.MustParse("mailto:a@sender.example"), Attendee: cua.MustParse("mailto:b@receiver.example"),
		Start: start, End: start.AddDate(0, 0, 62), Stamp: start,
	}
	for day := range 62 {
		for _, hour := range []int{9, 15} {
			begin := start.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			reply.Periods = append(reply.Periods, itip.Period{Start: begin, End: begin.Add(time.Hour), Type: "BUSY"})
		}
	}
	body := reply.Build()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if periods, err := itip.ParseFreeBusy(body, reply.Attendee); err != nil || len(periods) != len(reply.Periods) {
			b.Fatal(len(periods), err)
		}
	}
}
