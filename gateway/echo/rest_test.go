package echo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/echo"
)

// start is the time of day at which the series begins.
func start(body []byte) string {
	_, at, _ := strings.Cut(string(body), "DTSTART:20261125")
	return at[:8]
}

// organize is an act of the organizer: another title, another time, or an instance less. With the last two overrides go.
func (w *world) organize(act int) {
	sequence, at := w.summary(w.a, w.a.object)[""].Sequence, w.stamp()
	parts := strings.SplitAfter(string(w.a.object), "END:VEVENT\r\n")
	if act > 0 {
		parts = slices.DeleteFunc(parts, func(p string) bool { return strings.Contains(p, "\r\nRECURRENCE-ID") })
		sequence++
	}
	var out []string
	for _, l := range lines([]byte(strings.Join(parts, ""))) {
		name, _, _ := strings.Cut(l, ":")
		switch {
		case name == "SUMMARY" && act == 0:
			l = "SUMMARY:" + at
		case name == "DTSTAMP":
			l = "DTSTAMP:" + at
		case name == "SEQUENCE" && act > 0:
			l = fmt.Sprintf("SEQUENCE:%d", sequence)
		case name == "DTSTART" && act == 1:
			l = fmt.Sprintf("DTSTART:20261125T1%d0000Z", (start(w.a.object)[2]-'0'+1)%10)
		case name == "EXDATE" && act == 1:
			continue
		case strings.HasPrefix(name, "ATTENDEE") && act == 1: // everybody is asked anew
			l = "ATTENDEE;PARTSTAT=NEEDS-ACTION:" + w.b.user.String()
		case name == "RRULE" && act == 2:
			out = append(out, fmt.Sprintf("EXDATE:2026112%d%s", 6+sequence%4, start(w.a.object)))
		}
		out = append(out, l)
	}
	w.write(w.a, joined(out), always)
}

// answer is an act of the attendee, for the series or its third day.
func (w *world) answer(partStat string, one bool) {
	all := w.summary(w.b, w.b.object)
	if len(all) == 0 {
		return
	}
	text := string(joined(lines(w.b.object)))
	id := ""
	if one {
		id = "20261127" + start(w.b.object)
	}
	now, known := all[id]
	if !known {
		now = all[""]
	}
	if now.PartStat == partStat || slices.Contains(all[""].Excluded, id) {
		return
	}
	parts := strings.SplitAfter(text, "END:VEVENT\r\n")
	if !known {
		made := parts[0][strings.Index(parts[0], "BEGIN:VEVENT"):]
		var own []string
		for _, l := range lines([]byte(made)) {
			if !strings.HasPrefix(l, "RRULE") && !strings.HasPrefix(l, "EXDATE") && !strings.HasPrefix(l, "DTSTART") {
				own = append(own, l)
			}
		}
		parts = slices.Insert(parts, 1, string(joined(slices.Insert(own, 2, "RECURRENCE-ID:"+id, "DTSTART:"+id))))
	}
	for i, p := range parts {
		if strings.Contains(p, "BEGIN:VEVENT") && (id == "" && !strings.Contains(p, "\r\nRECURRENCE-ID") || id != "" && strings.Contains(p, "RECURRENCE-ID:"+id)) {
			for _, was := range []string{"NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE"} {
				p = strings.Replace(p, "PARTSTAT="+was+":"+w.b.user.String(), "PARTSTAT=X:"+w.b.user.String(), 1)
			}
			parts[i] = strings.Replace(p, "PARTSTAT=X:", "PARTSTAT="+partStat+":", 1)
		}
	}
	w.write(w.b, []byte(strings.Join(parts, "")), onChange)
	w.answers[id] = answer{partStat, now.Sequence}
}

// step does one thing that can happen, and says false when there is none.
func (w *world) step() bool {
	var can []func()
	for _, pair := range [...][2]*side{{w.a, w.b}, {w.b, w.a}} {
		s, other := pair[0], pair[1]
		if len(s.submitted) > 0 {
			can = append(can, func() { w.submit(s, other) })
		}
		if len(s.arriving) > 0 {
			can = append(can, func() { w.deliver(s, other) })
		}
	}
	if len(can) == 0 {
		return false
	}
	can[rapid.IntRange(0, len(can)-1).Draw(w.t, "what happens")]()
	return true
}

// Two calendar servers with any habits, a gateway each, and users who act while messages are under way: soon nothing is under
// way any more, and the organizer knows what the attendee has answered.
//
// Proves: IS-SUB-3
func TestTwoServersComeToRest(t *testing.T) {
	habits := rapid.SampledFrom([]habit{quiet, onChange, always, amnesic})
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, answers: map[string]answer{}, at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		w.a = &side{user: cua.MustParse("mailto:ada@a.example"), organizer: true, habit: habits.Draw(t, "organizer's server"), memory: echo.New(w.now)}
		w.b = &side{user: cua.MustParse("mailto:bob@b.example"), habit: habits.Draw(t, "attendee's server"), memory: echo.New(w.now)}
		first := string(object("", event("NEEDS-ACTION", "RRULE:FREQ=DAILY;COUNT=6")))
		w.write(w.a, []byte(strings.NewReplacer(ada.String(), w.a.user.String(), bob.String(), w.b.user.String(), "DTEND:20261125T150000Z", "DURATION:PT1H").Replace(first)), always)
		acts := rapid.IntRange(0, 6).Draw(t, "acts")
		for range acts {
			for range rapid.IntRange(0, 6).Draw(t, "steps before it") {
				w.step()
			}
			switch act := rapid.IntRange(0, 8).Draw(t, "act"); act {
			case 0, 1, 2:
				w.organize(act)
			case 3: // what is ten minutes under way is another matter
				for w.step() {
				}
				w.at = w.at.Add(11 * time.Minute)
			default:
				w.answer([]string{"ACCEPTED", "DECLINED", "TENTATIVE"}[act%3], act > 5)
			}
		}
		for n := 0; w.step(); n++ {
			if n > 60+60*acts {
				t.Fatalf("no rest: %d and %d messages sent", w.a.sent, w.b.sent)
			}
		}
		organizers, attendees := w.summary(w.b, w.a.object), w.summary(w.b, w.b.object)
		now := organizers[""]
		if now.Sequence != attendees[""].Sequence {
			t.Fatalf("the attendee has revision %d of %d", attendees[""].Sequence, now.Sequence)
		}
		for id, said := range w.answers {
			got, known := organizers[id]
			if !known {
				got = now
			}
			if said.revision == now.Sequence && got.PartStat != said.partStat && !slices.Contains(now.Excluded, id) && w.b.habit != amnesic {
				t.Fatalf("the organizer has %s for %q, the attendee said %s\n%s\n%s", got.PartStat, id, said.partStat, w.a.object, w.b.object)
			}
		}
	})
}
