package itip

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// maxReply bounds what ReplyOf writes: as much as Inspect reads by default.
const maxReply = 1 << 20

// ReplyOf is the message in which owner, an attendee of the stored object, tells the organizer answers: PARTSTAT by
// RecurrenceID, as Summary has both. It holds one component for each: that of the object, or one made of the master for an
// instance that has none of its own, with the lines as the object writes them. What is no instance of the object is left out; nil
// when nothing stays. RFC 5546 §3.2.3, §3.4.3.
//
// The message can take the place of the object when that is gone. The error is about bytes that cannot be read, an object that does
// not say who is asked by whom, an answer that is no PARTSTAT, or a message beyond 1 MiB.
func ReplyOf(object []byte, owner cua.Address, answers map[string]string, stamp time.Time) ([]byte, error) {
	r := replier{owner: owner, stamp: newProperty("DTSTAMP:" + utc(stamp)), zones: map[string]bool{}}
	if err := r.object.read(object); err != nil {
		return nil, err
	}
	if tableOf(r.object.in.msg.Component) == nil || r.object.in.msg.Component == "VFREEBUSY" {
		return nil, scheduling("reply-component", 0, "neither VEVENT nor VTODO: nothing that is answered")
	}
	if master := r.object.find(""); master != nil {
		r.series = seriesOf(master)
	}
	var components []byte
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		if !isToken(answers[id]) {
			return nil, scheduling("reply-partstat", 0, "an answer that is no PARTSTAT")
		}
		n, err := r.component(id, answers[id])
		if err != nil {
			return nil, err
		}
		if n != nil {
			components = n.render(components)
		}
		if len(components) > maxReply {
			return nil, tooLarge("message-bytes", 0, "the answer would be too large")
		}
	}
	if components == nil {
		return nil, nil
	}
	return r.message(components)
}

// replier makes one reply.
type replier struct {
	object object
	series *series // nil = there is no master
	owner  cua.Address
	stamp  *property
	zones  map[string]bool // TZIDs that are used
}

func (r *replier) message(components []byte) ([]byte, error) {
	out := []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:" + productID + "\r\nMETHOD:REPLY\r\n")
	for _, z := range r.object.root.comps("VTIMEZONE") {
		if id := z.first("TZID"); id != nil && r.zones[id.value] {
			out = z.render(out)
		}
	}
	out = append(append(out, components...), "END:VCALENDAR\r\n"...)
	if len(out) > maxReply {
		return nil, tooLarge("message-bytes", 0, "the answer would be too large")
	}
	return out, nil
}

// component answers for one instance; nil when the object has no such instance.
func (r *replier) component(id, partstat string) (*node, error) {
	c := r.object.find(id)
	value := "" // of a RECURRENCE-ID that the object does not write
	if c == nil {
		if c, value = r.implied(id); c == nil {
			return nil, nil
		}
	}
	mine := attendee(c.node, r.owner)
	if mine == nil || c.node.first("ORGANIZER") == nil || c.node.first("UID") == nil {
		return nil, scheduling("reply-parties", 0, "the object does not say who is asked by whom")
	}
	n := &node{name: c.node.name, begin: newProperty("BEGIN:" + c.node.name).raw, end: newProperty("END:" + c.node.name).raw}
	names := []string{"UID", "SEQUENCE", "RECURRENCE-ID", "DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY"}
	if value != "" { // its times are not those of the first
		names = []string{"UID", "SEQUENCE", "SUMMARY"}
		n.add(newProperty("DTSTART"+value), newProperty("RECURRENCE-ID"+value))
		r.zones[c.node.first("DTSTART").tzid] = true
	}
	for _, name := range names {
		if p := c.node.first(name); p != nil {
			n.add(p.withoutParams(func(name string) bool { return strings.HasPrefix(name, "X-") }))
			r.zones[p.tzid] = true
		}
	}
	n.add(r.stamp, c.node.first("ORGANIZER").onlyParams("CN"), mine.onlyParams("CN", "DELEGATED-TO", "DELEGATED-FROM").withParam("PARTSTAT", partstat))
	if value == "" { // what the user says beside
		for _, it := range c.node.items {
			if isLine("COMMENT", "PERCENT-COMPLETE", "COMPLETED")(it) && !it.line.isNote() {
				n.add(it.line)
			}
		}
	}
	return n, nil
}

// implied is the master of an instance that has no component of its own, and its place as the series writes it, also where an EXDATE
// takes it out.
func (r *replier) implied(id string) (master *instance, value string) {
	m, ok := parseMoment(id)
	if r.series == nil || !ok {
		return nil, ""
	}
	in := r.series.in
	r.series.include(in, m)
	if !r.series.has(in, m) {
		return nil, ""
	}
	if value, ok = r.series.value(in, m); !ok {
		return nil, ""
	}
	return r.series.master, value
}

// onlyParams is the line with no other parameters than those.
func (p *property) onlyParams(names ...string) *property {
	return p.withoutParams(func(name string) bool { return !slices.Contains(names, name) })
}
