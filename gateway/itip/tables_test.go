package itip_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/itip"
)

// sample is a content line for each property, and a VALARM, that RFC 5546's tables restrict.
var sample = []struct{ name, line string }{
	{"ATTACH", "ATTACH:https://sender.example/a"},
	{"ATTENDEE", "ATTENDEE:mailto:bob@receiver.example"},
	{"CATEGORIES", "CATEGORIES:A"},
	{"CLASS", "CLASS:PUBLIC"},
	{"COMMENT", "COMMENT:a"},
	{"COMPLETED", "COMPLETED:20261125T140000Z"},
	{"CONTACT", "CONTACT:a"},
	{"CREATED", "CREATED:20261122T110000Z"},
	{"DESCRIPTION", "DESCRIPTION:a"},
	{"DTEND", "DTEND:20261125T150000Z"},
	{"DTSTAMP", "DTSTAMP:20261122T115743Z"},
	{"DTSTART", "DTSTART:20261125T140000Z"},
	{"DUE", "DUE:20261125T150000Z"},
	{"DURATION", "DURATION:PT1H"},
	{"EXDATE", "EXDATE:20261126T140000Z"},
	{"FREEBUSY", "FREEBUSY:20261125T140000Z/PT1H"},
	{"GEO", "GEO:1.0;2.0"},
	{"LAST-MODIFIED", "LAST-MODIFIED:20261122T110000Z"},
	{"LOCATION", "LOCATION:a"},
	{"ORGANIZER", "ORGANIZER:mailto:ada@sender.example"},
	{"PERCENT-COMPLETE", "PERCENT-COMPLETE:1"},
	{"PRIORITY", "PRIORITY:0"},
	{"RDATE", "RDATE:20261126T140000Z"},
	{"RECURRENCE-ID", "RECURRENCE-ID:20261125T140000Z"},
	{"RELATED-TO", "RELATED-TO:a"},
	{"REQUEST-STATUS", "REQUEST-STATUS:2.0;Success"},
	{"RESOURCES", "RESOURCES:A"},
	{"RRULE", "RRULE:FREQ=DAILY;COUNT=2"},
	{"SEQUENCE", "SEQUENCE:1"},
	{"STATUS", "STATUS:CANCELLED"},
	{"SUMMARY", "SUMMARY:a"},
	{"TRANSP", "TRANSP:OPAQUE"},
	{"UID", "UID:1@sender.example"},
	{"URL", "URL:https://sender.example/"},
	{"VALARM", "BEGIN:VALARM\r\nACTION:AUDIO\r\nTRIGGER:PT0S\r\nEND:VALARM"},
}

// testdata/tables.txt holds RFC 5546's tables as Inspect enforces them, found out by leaving each property out, giving it
// once and giving it twice: 1 exactly once, + at least once, ? at most once, * any number, - not at all. A "!" means that
// a message without it is refused; every other departure is a violation.
//
// Proves: IS-ITIP-2
func TestTableCells(t *testing.T) {
	var b strings.Builder
	for _, kind := range []string{"VEVENT", "VTODO", "VFREEBUSY"} {
		methods := []string{"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}
		if kind == "VFREEBUSY" {
			methods = methods[:2]
		}
		fmt.Fprintf(&b, "%-17s%s\n", kind, strings.Join(methods, " "))
		for _, s := range sample {
			line := fmt.Sprintf("%-17s", s.name)
			for _, method := range methods {
				line += fmt.Sprintf("%-*s", len(method)+1, cell(kind, method, s.name, s.line))
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		b.WriteByte('\n')
	}
	const file = "testdata/tables.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// cell is what one table says about one property.
func cell(kind, method, name, line string) string {
	const fine, violated, refused = 0, 1, 2
	with := func(lines ...string) int {
		m, err := itip.Inspect(message(method, kind, append([]string{"-" + name}, lines...)...), itip.Limits{}, 0)
		if err != nil {
			return refused
		}
		for _, v := range m.Violations {
			if v.Property == name && (v.Rule == "must appear" || v.Rule == "must appear once" || v.Rule == "must not appear") {
				return violated
			}
		}
		return fine
	}
	none, once, twice := with(), with(line), with(line, line)
	if once != fine {
		return "-"
	}
	out := map[[2]bool]string{{true, true}: "*", {true, false}: "?", {false, true}: "+", {false, false}: "1"}[[2]bool{none == fine, twice == fine}]
	if none == refused {
		out += "!"
	}
	return out
}
