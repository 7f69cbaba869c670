package echo

import (
	"cmp"
	"slices"
	"time"

	"github.com/calfed/calfed/gateway/itip"
)

// write is one of our writes, as the user sees it.
type write struct {
	number    int // among those of its object, from 1
	at        time.Time
	instances []itip.Summary // sorted by RecurrenceID, the master first
	excluded  []string       // sorted RecurrenceIDs
}

func newWrite(instances []itip.Summary) *write {
	slices.SortStableFunc(instances, func(a, b itip.Summary) int { return cmp.Compare(a.RecurrenceID, b.RecurrenceID) })
	w := &write{instances: slices.Clone(instances[:min(len(instances), maxInstances)])}
	for i := range w.instances {
		in := &w.instances[i]
		room := maxInstances - w.size()
		w.excluded = append(w.excluded, in.Excluded[:min(len(in.Excluded), room)]...)
		in.Excluded = nil
	}
	slices.Sort(w.excluded)
	return w
}

func (w *write) size() int { return len(w.instances) + len(w.excluded) }

func (w *write) equal(other *write) bool {
	return slices.Equal(w.excluded, other.excluded) && slices.EqualFunc(w.instances, other.instances, func(a, b itip.Summary) bool {
		return a.Method == b.Method && a.RecurrenceID == b.RecurrenceID && a.Sequence == b.Sequence && a.PartStat == b.PartStat &&
			a.Cancelled == b.Cancelled && a.Content == b.Content
	})
}

// find returns the instance with a RecurrenceID, "" for the master; nil when there is none.
func (w *write) find(id string) *itip.Summary {
	i, ok := slices.BinarySearchFunc(w.instances, id, func(s itip.Summary, id string) int { return cmp.Compare(s.RecurrenceID, id) })
	if !ok {
		return nil
	}
	return &w.instances[i]
}

// excludes says whether the write took an instance out of its series.
func (w *write) excludes(id string) bool {
	_, ok := slices.BinarySearch(w.excluded, id)
	return ok
}
