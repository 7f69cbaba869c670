package echo_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/echo"
	"github.com/calfed/calfed/gateway/itip"
)

// habit is what a calendar server says when its gateway writes.
type habit int

const (
	quiet    habit = iota // nothing: it knows Schedule-Reply
	onChange              // what has changed: PARTSTATs, instances that were struck out
	always                // what is there, at once
	amnesic               // what is there, as if nobody had ever answered
)

// side is an organisation: a user, a calendar server with habits, a gateway with its memory, and what is under way.
type side struct {
	user      cua.Address
	organizer bool
	habit     habit
	memory    *echo.Memory
	object    []byte
	submitted [][]byte // from the server to the gateway
	arriving  [][]byte // from the other gateway
	sent      int
}

// world is two sides and a clock.
type world struct {
	t       *rapid.T
	at      time.Time
	a, b    *side
	answers map[string]answer // what the attendee has said last, by instance
}

type answer struct {
	partStat string
	revision int // that it was about
}

func (w *world) now() time.Time { return w.at }

func (w *world) stamp() string {
	w.at = w.at.Add(time.Second)
	return w.at.Format("20060102T150405Z")
}

// lines are those of an object, unfolded, and edit puts them back.
func lines(body []byte) []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(body), "\r\n ", ""), "\r\n"), "\r\n")
}

func joined(lines []string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// stamped is an object as a message of now.
func (w *world) stamped(body []byte, method string) []byte {
	out := lines(body)
	at := w.stamp()
	for i, l := range out {
		if strings.HasPrefix(l, "DTSTAMP:") {
			out[i] = "DTSTAMP:" + at
		}
	}
	return joined(slices.Insert(out, 3, "METHOD:"+method))
}

// write stores an object, and has the server say what it says of that.
func (w *world) write(s *side, object []byte, habit habit) {
	before := w.summary(s, s.object)
	s.object = joined(lines(object)) // servers write it in their own way
	after := w.summary(s, s.object)
	if s.organizer {
		changed := len(before) != len(after)
		for _, id := range ids(after) {
			changed = changed || before[id].Content != after[id].Content
		}
		if habit >= always || habit == onChange && changed {
			message := string(w.stamped(s.object, "REQUEST"))
			if habit == amnesic {
				for _, answer := range []string{"ACCEPTED", "DECLINED", "TENTATIVE"} {
					message = strings.ReplaceAll(message, "PARTSTAT="+answer, "PARTSTAT=NEEDS-ACTION")
				}
			}
			s.submitted = append(s.submitted, []byte(message))
		}
		return
	}
	for _, id := range ids(after) {
		now := after[id]
		was, known := before[id]
		if !known {
			was = before[""]
		}
		if habit >= always || habit == onChange && was.PartStat != now.PartStat {
			answer := now.PartStat
			if habit == amnesic && s.habit == amnesic {
				answer = "NEEDS-ACTION"
			}
			s.submitted = append(s.submitted, w.reply(id, now.Sequence, answer))
		}
		for _, struck := range now.Excluded {
			if habit != quiet && !slices.Contains(before[id].Excluded, struck) {
				s.submitted = append(s.submitted, w.reply(struck, now.Sequence, "DECLINED"))
			}
		}
	}
}

func (w *world) reply(id string, sequence int, answer string) []byte {
	recurrence := ""
	if id != "" {
		recurrence = "RECURRENCE-ID:" + id + "\r\n"
	}
	return object("REPLY", fmt.Sprintf("BEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:%s\r\n%sSEQUENCE:%d\r\nDTSTART:20261125T140000Z\r\nSUMMARY:x\r\nORGANIZER:%s\r\nATTENDEE;PARTSTAT=%s:%s\r\nEND:VEVENT\r\n",
		w.stamp(), recurrence, sequence, w.a.user, answer, w.b.user))
}

func (w *world) summary(s *side, body []byte) map[string]itip.Summary {
	out := map[string]itip.Summary{}
	if body == nil {
		return out
	}
	list, err := itip.Summarize(body, s.user)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, one := range list {
		out[one.RecurrenceID] = one
	}
	return out
}

func ids(of map[string]itip.Summary) []string { return slices.Sorted(maps.Keys(of)) }

// submit has a gateway take what its calendar server says.
func (w *world) submit(s, other *side) {
	body := s.submitted[0]
	s.submitted = s.submitted[1:]
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if !s.memory.IsEcho(s.user, body, m) {
		s.sent++
		other.arriving = append(other.arriving, body)
	}
}

// deliver has a gateway write what has arrived.
func (w *world) deliver(s, other *side) {
	body := s.arriving[0]
	s.arriving = s.arriving[1:]
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	made, outcome, err := itip.Apply(s.object, body, m, other.user, s.user)
	if err != nil {
		w.t.Fatal(err)
	}
	if outcome == itip.Stored {
		s.memory.Wrote(s.user, body)
		s.memory.Wrote(s.user, made)
		w.write(s, made, s.habit)
	}
}
