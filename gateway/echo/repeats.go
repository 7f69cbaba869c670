package echo

import (
	"slices"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// repeats says whether one component of a message says nothing but what we wrote. writes are fresh, the latest first.
type repeats func(o *object, writes []*write, said *itip.Summary) bool

// repeatsOf is how messages of originator are held against our writes; nil when this one cannot be an echo.
func repeatsOf(originator cua.Address, msg *itip.Message) repeats {
	if msg.Component != "VEVENT" && msg.Component != "VTODO" {
		return nil
	}
	switch msg.Method {
	case "REPLY":
		return (*object).repeatsAnswer
	case "REQUEST", "ADD", "CANCEL":
		if originator.Equal(msg.Organizer) {
			return (*object).repeatsContent
		}
	}
	return nil
}

// repeatsContent says whether an organizer's message tells the attendees of an instance what we wrote.
func (o *object) repeatsContent(writes []*write, said *itip.Summary) bool {
	after := o.said[said.RecurrenceID].after
	return slices.ContainsFunc(writes, func(w *write) bool {
		in := w.find(said.RecurrenceID)
		return in != nil && w.number > after && in.Content == said.Content && said.Sequence <= in.Sequence && (said.Method != "CANCEL" || in.Cancelled)
	})
}

// takesBack says whether a REQUEST for a series lacks an override that stands in what we wrote last: it ends the override. writes are
// the latest first.
func takesBack(writes []*write, instances []itip.Summary) bool {
	told := make(map[string]bool, len(instances))
	for i := range instances {
		told[instances[i].RecurrenceID] = true
	}
	last := slices.IndexFunc(writes, func(w *write) bool { return w.find("") != nil })
	return told[""] && last >= 0 && slices.ContainsFunc(writes[last].instances, func(in itip.Summary) bool { return !told[in.RecurrenceID] })
}

// repeatsAnswer says whether the answer for an instance stands in the last message about it that we wrote, or in the last object. What was
// written before that is past: the user may have been asked anew.
func (o *object) repeatsAnswer(writes []*write, said *itip.Summary) bool {
	var decided [2]bool
	after := o.said[said.RecurrenceID].after
	for _, w := range writes {
		kind := 0
		if w.instances[0].Method == "" {
			kind = 1
		}
		if decided[kind] || w.number <= after {
			continue
		}
		about, same := o.answered(w, said)
		if same {
			return true
		}
		decided[kind] = about
	}
	return false
}

// answered says whether a write was about the instance that is answered for, and whether it says the same. The instance is there
// itself, or the series it is in. An answer to the series is none to an instance that we did not write.
func (o *object) answered(w *write, said *itip.Summary) (about, same bool) {
	if in := w.find(said.RecurrenceID); in != nil {
		return true, o.known(in, said)
	}
	if w.excludes(said.RecurrenceID) {
		return true, said.PartStat == "DECLINED" && !remarks(said, w.find(""))
	}
	if said.RecurrenceID == "" { // an answer for all that we wrote of a series whose master the user does not have
		return true, !slices.ContainsFunc(w.instances, func(in itip.Summary) bool { return !o.known(&in, said) })
	}
	master := w.find("")
	return master != nil, master != nil && (said.PartStat == "NEEDS-ACTION" || master.Cancelled) && o.known(master, said)
}

// known says whether the organizer has had that answer for the instance as we wrote it: it never was another, or it refuses what was
// cancelled; or else it stood in the organizer's own message, or the user has said it of this revision, and nothing else since.
func (o *object) known(in, answer *itip.Summary) bool {
	switch {
	case remarks(answer, in):
		return false
	case in.Cancelled && answer.PartStat == "DECLINED":
		return true
	case in.PartStat != answer.PartStat || answer.PartStat == "":
		return false
	case answer.PartStat == "NEEDS-ACTION":
		return true
	}
	before, spoke := o.said[answer.RecurrenceID]
	if spoke && before.partStat != answer.PartStat {
		return false
	}
	return in.Method != "" || spoke && before.revision >= answer.Sequence
}

// remarks says whether an answer says something that does not stand in what we wrote, nil = nothing.
func remarks(answer, in *itip.Summary) bool {
	var none itip.Summary
	return answer.Remark != none.Remark && (in == nil || answer.Remark != in.Remark)
}
