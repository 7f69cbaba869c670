//go:build interop

package interop

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the matrix into gateway/README.md")

// columns of the matrix, in order.
var columns = []string{"invite", "accept", "decline", "reschedule", "cancel", "one instance", "free/busy"}

// pair is a row: who organizes, who attends.
type pair struct{ from, to string }

var pairs = []pair{
	{"Cyrus", "Cyrus"}, {"Cyrus", "DAViCal"}, {"Cyrus", "Radicale"},
	{"DAViCal", "Cyrus"}, {"DAViCal", "DAViCal"}, {"DAViCal", "Radicale"},
	{"Radicale", "Cyrus"}, {"Radicale", "DAViCal"}, {"Radicale", "Radicale"},
}

// sendsNothing is why a calendar system does not do its part; the tests hold that it does not.
const sendsNothing = "Radicale sends nothing."

// reason says why a message of the column does not leave by itself; "" when it does.
func (p pair) reason(column string) string {
	if p.from == "Radicale" && column != "free/busy" { // that is asked at the gateway
		return sendsNothing // no answer either: there is no invitation
	}
	return ""
}

// silent says whether what the attendee answers is not sent by the calendar system: the gateway reads it from the calendar.
func (p pair) silent() bool { return p.to != "Cyrus" }

// mark is the cell of something that went as it should.
func (p pair) mark(column string) string {
	if p.reason(column) == "" {
		return "✓"
	}
	return "—"
}

// remark is what a note says about a cell; "" for nothing.
func (p pair) remark(column string) string {
	switch {
	case column == "cancel" && p.from == "DAViCal":
		return "By STATUS:CANCELLED. That an organizer deletes an event DAViCal tells nobody by iSchedule."
	case (column == "accept" || column == "decline") && p.silent() && p.reason(column) == "":
		return "DAViCal sends answers to organizers on the same server only, Radicale none: the gateway reads them from the calendar within about ten seconds, " +
			"or two minutes when nothing has happened there for an hour."
	}
	return p.reason(column)
}

// matrix collects what the tests saw.
type matrix map[pair]map[string]bool

func (m matrix) saw(p pair, column string, ok bool) {
	if m[p] == nil {
		m[p] = map[string]bool{}
	}
	m[p][column] = ok
}

// markdown is the table, with the reasons below it.
func (m matrix) markdown() string {
	var b strings.Builder
	b.WriteString("| organizer → attendee | " + strings.Join(columns, " | ") + " |\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
	var notes []string
	note := func(text string) string {
		if text == "" {
			return ""
		}
		i := slices.Index(notes, text)
		if i < 0 {
			i, notes = len(notes), append(notes, text)
		}
		return fmt.Sprintf(" %d", i+1)
	}
	for _, p := range pairs {
		fmt.Fprintf(&b, "| %s → %s |", p.from, p.to)
		for _, column := range columns {
			mark := "✗"
			if m[p][column] {
				mark = p.mark(column) + note(p.remark(column))
			}
			b.WriteString(" " + mark + " |")
		}
		b.WriteString("\n")
	}
	for i, text := range notes {
		fmt.Fprintf(&b, "\n%d. %s", i+1, text)
	}
	return b.String() + "\n"
}

// filtered says whether -run or -skip leaves out subtests, which then look as if they had passed.
func filtered() bool {
	return strings.Contains(flag.Lookup("test.run").Value.String(), "/") || flag.Lookup("test.skip").Value.String() != ""
}

const (
	readme      = "../../gateway/README.md"
	matrixBegin = "<!-- interop: begin -->\n"
	matrixEnd   = "<!-- interop: end -->\n"
)

// check holds gateway/README.md to the matrix.
func (m matrix) check(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(data), matrixBegin)
	kept, after, ended := strings.Cut(rest, matrixEnd)
	if !begun || !ended {
		t.Fatalf("%s has no %q … %q", readme, matrixBegin, matrixEnd)
	}
	table := m.markdown()
	t.Logf("the matrix:\n%s", table)
	switch {
	case table == kept:
	case *update && !strings.Contains(table, "✗"):
		if err := os.WriteFile(readme, []byte(before+matrixBegin+table+matrixEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says something else; when this is right: go test -tags interop -run TestFederation ./hack/interop -update", readme)
	}
}
