package caldav

import (
	"slices"

	"github.com/calfed/calfed/gateway/itip"
)

const (
	needsAction = "NEEDS-ACTION"
	declined    = "DECLINED"
)

// told is the answer of a user that an organizer has: the last one told, or that of the organizer's own message.
type told struct {
	PartStat string `json:"partStat"`
	Sequence int    `json:"sequence,omitempty"` // of the revision it is for
}

// knownAfter is what the organizer knows once message has made state of the user's object; before is what was known, nil = that
// is not known. An answer that stands in the object only is not known to the organizer: it may have been overtaken by the
// message. It is nil when there is nothing to answer any more.
func knownAfter(before map[string]told, message, state []itip.Summary) map[string]told {
	after := map[string]told{}
	open := false
	for i := range state {
		s := &state[i]
		if s.PartStat != "" {
			if known, ok := knownOf(before, message, s); ok {
				after[s.RecurrenceID] = known
			}
			open = open || !s.Cancelled
		}
		for _, id := range s.Excluded {
			old, ok := before[id]
			switch {
			case before == nil || takesOut(message, id):
				after[id] = told{declined, s.Sequence}
			case ok:
				after[id] = old
			}
		}
	}
	if !open {
		return nil
	}
	return after
}

// knownOf is what the organizer knows of one component.
func knownOf(before map[string]told, message []itip.Summary, s *itip.Summary) (known told, ok bool) {
	if s.Cancelled {
		return told{declined, s.Sequence}, true
	}
	old, spoke := before[s.RecurrenceID]
	said := told{s.PartStat, s.Sequence}
	for i := range message {
		m := &message[i]
		if m.Method != "REQUEST" || m.RecurrenceID != s.RecurrenceID || m.PartStat == "" {
			continue
		}
		// one who has heard the answer to this revision, and asks again all the same, is not told for ever
		if m.PartStat == s.PartStat || old.PartStat == s.PartStat && old.Sequence >= s.Sequence {
			return said, true
		}
		return told{m.PartStat, s.Sequence}, true
	}
	if spoke {
		return old, true
	}
	return said, before == nil || s.PartStat == needsAction
}

// takesOut says whether a message takes an instance out of the series.
func takesOut(message []itip.Summary, id string) bool {
	return slices.ContainsFunc(message, func(m itip.Summary) bool {
		return m.Method == "CANCEL" && m.RecurrenceID == id || slices.Contains(m.Excluded, id)
	})
}

// news are the answers that stand in the object and that the organizer does not know, by RecurrenceID. An instance that the user has
// taken out of the series is declined; one that has lost its component is answered as the series is.
func news(known map[string]told, state []itip.Summary) map[string]string {
	is := map[string]string{}
	cancelled := map[string]bool{}
	for i := range state {
		s := &state[i]
		cancelled[s.RecurrenceID] = s.Cancelled
		is[s.RecurrenceID] = s.PartStat
		for _, id := range s.Excluded {
			if _, own := is[id]; !own {
				is[id] = declined
			}
		}
	}
	master, series := is[""]
	for id := range known {
		switch _, own := is[id]; {
		case own:
		case series:
			is[id] = master
		default:
			is[id] = declined
		}
	}
	base := needsAction // of what nothing is known of
	if t, ok := known[""]; ok {
		base = t.PartStat
	}
	if series && master != "" && master != needsAction {
		base = master
	}
	out := map[string]string{}
	for id, answer := range is {
		before := base
		if t, ok := known[id]; ok {
			before = t.PartStat
		} else if id == "" {
			before = needsAction
		}
		if answer != "" && answer != needsAction && answer != before && !cancelled[id] && !cancelled[""] {
			out[id] = answer
		}
	}
	return out
}

// refusals decline all that was not declined before, for an object that its user has removed (RFC 6638 §3.2.2.2).
func refusals(known map[string]told) map[string]string {
	out := map[string]string{}
	for id, t := range known {
		if t.PartStat != declined {
			out[id] = declined
		}
	}
	return out
}

// sequences are those of the instances in an object, the master's for instances that have no component.
func sequences(state []itip.Summary) func(id string) int {
	of := map[string]int{}
	for i := range state {
		of[state[i].RecurrenceID] = state[i].Sequence
	}
	return func(id string) int {
		if n, ok := of[id]; ok {
			return n
		}
		return of[""]
	}
}
