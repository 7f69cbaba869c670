package itip

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Summary is one main component in what scheduling sees of it. It shares nothing with the bytes it was made of.
type Summary struct {
	UID          string // of the object, unescaped
	Method       string // of a message, upper-case; "" = a stored object
	RecurrenceID string // as Instance has it, "" = master
	Sequence     int
	PartStat     string   // of owner's own ATTENDEE line, upper-case, NEEDS-ACTION when it has none; "" when owner has no line
	Cancelled    bool     // STATUS, or METHOD:CANCEL
	Excluded     []string // EXDATE, as RecurrenceIDs
	Recurs       bool     // by RRULE or RDATE
	End          time.Time

	// Content is the hash of what makes an update worth sending: all properties but DTSTAMP, SEQUENCE, CREATED, LAST-MODIFIED, REQUEST-STATUS,
	// TRANSP and X- ones, no alarms and no proposals that Apply noted; of ATTENDEE and ORGANIZER the address, PARTSTAT and ROLE. Order, folding
	// and escaping do not count, a DURATION is as good as the end it makes, and an empty value as none.
	Content [32]byte
	// Remark is the hash of what an answer says beside its PARTSTAT: COMMENT, PERCENT-COMPLETE and COMPLETED. Zero when it says nothing.
	Remark [32]byte
}

// Summarize reads an object or message with the eyes of owner. Errors are *Error.
func Summarize(body []byte, owner cua.Address) ([]Summary, error) {
	var o object
	if err := o.read(body); err != nil {
		return nil, err
	}
	uid, method := strings.Clone(o.in.msg.UID), strings.Clone(o.in.msg.Method)
	out := make([]Summary, len(o.insts))
	for i := range o.insts {
		out[i] = o.summary(&o.insts[i], owner)
		out[i].UID, out[i].Method = uid, method
	}
	return out, nil
}

func (o *object) summary(c *instance, owner cua.Address) Summary {
	s := Summary{
		RecurrenceID: c.RecurrenceID,
		Sequence:     c.Sequence,
		Cancelled:    c.Status == "CANCELLED" || methodOf(o.in.msg.Method) == mCANCEL,
		Content:      o.content(c),
		Remark:       remark(c.node),
		Recurs:       c.node.first("RRULE") != nil || c.node.first("RDATE") != nil,
		End:          c.End,
	}
	if line := attendee(c.node, owner); line != nil {
		s.PartStat = strings.Clone(partStat(line.partStat))
	}
	for _, p := range c.node.lines("EXDATE") {
		s.Excluded = append(s.Excluded, o.in.ids(p)...)
	}
	return s
}

// ids are the values of an EXDATE or RDATE as recurrence ids; of a period it is the start.
func (in *inspector) ids(p *property) []string {
	var out []string
	for list, more := p.value, true; more; {
		var v string
		v, list, more = nextValue(list)
		v, _, _ = cut(v, '/')
		if m, ok := in.momentOf(p, v); ok {
			out = append(out, in.recurrenceID(m))
		}
	}
	return out
}

// content is the hash of a component's facts. A calendar server that stores an object writes it in its own way, so that only what
// the lines mean may count.
func (o *object) content(c *instance) [sha256.Size]byte {
	facts := []string{fact("END", o.in.recurrenceID(o.in.endOf(c.draft)))}
	return hashOf(o.facts(facts, c.node, ""))
}

// remark is a component's Summary.Remark.
func remark(n *node) [sha256.Size]byte {
	var said []string
	for _, it := range n.items {
		if it.line == nil || it.line.value == "" {
			continue
		}
		switch it.line.name {
		case "COMMENT", "PERCENT-COMPLETE", "COMPLETED":
			said = append(said, fact(it.line.name, unescapeText(it.line.value)))
		}
	}
	if said == nil {
		return [sha256.Size]byte{}
	}
	return hashOf(said)
}

// hashOf is the same in any order.
func hashOf(facts []string) [sha256.Size]byte {
	slices.Sort(facts)
	h := sha256.New()
	for _, f := range facts {
		put(h, f)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// put writes a string so that no other sequence of strings writes the same.
func put(h hash.Hash, s string) {
	_, _ = h.Write(strconv.AppendInt(nil, int64(len(s)), 10))
	_, _ = h.Write([]byte{':'})
	_, _ = h.Write([]byte(s))
}

// fact is one string of several, none of which holds a control character.
func fact(parts ...string) string { return strings.Join(parts, "\x00") }

func (o *object) facts(to []string, n *node, within string) []string {
	for _, it := range n.items {
		switch {
		case it.comp != nil && it.comp.name != "VALARM" && !strings.HasPrefix(it.comp.name, "X-"):
			to = o.facts(to, it.comp, fact(within, it.comp.name))
		case it.line == nil || it.line.value == "" || ofNoInterest(it.line.name) || it.line.isNote():
		case isDateList(it.line):
			for _, id := range o.in.ids(it.line) {
				to = append(to, fact(within, it.line.name, id))
			}
		default:
			to = append(to, fact(within, it.line.name, o.meaning(it.line)))
		}
	}
	return to
}

// ofNoInterest says whether a change of the property is none that others are told of.
func ofNoInterest(name string) bool {
	switch name {
	case "DTSTAMP", "SEQUENCE", "CREATED", "LAST-MODIFIED", "REQUEST-STATUS", "TRANSP", "DTEND", "DUE", "DURATION": // the last three have become one fact
		return true
	}
	return strings.HasPrefix(name, "X-")
}

// isDateList says whether a line is a list of instances. Periods are more than that: they have ends.
func isDateList(p *property) bool {
	return (p.name == "EXDATE" || p.name == "RDATE" || p.name == "RECURRENCE-ID") && !strings.Contains(p.value, "/")
}

// meaning is a property's value in one spelling.
func (o *object) meaning(p *property) string {
	switch p.name {
	case "ORGANIZER", "ATTENDEE":
		who := p.value
		if addr, err := cua.Parse(p.value); err == nil {
			who = addr.Key()
		}
		if p.name == "ORGANIZER" {
			return who
		}
		return fact(who, partStat(p.partStat), strings.ToUpper(cmp.Or(p.param("ROLE"), "REQ-PARTICIPANT")))
	case "DTSTART":
		m, _ := o.in.momentOf(p, p.value)
		return fact(o.in.recurrenceID(m), p.tzid)
	case "RRULE", "EXRULE":
		parts := strings.Split(strings.ToUpper(p.value), ";")
		slices.Sort(parts)
		return fact(parts...)
	}
	var params []string
	for _, q := range paramList(p.params) {
		if !strings.HasPrefix(q.name, "X-") {
			params = append(params, q.name+"="+unquote(q.value))
		}
	}
	slices.Sort(params)
	return fact(append(params, unescapeText(p.value))...)
}
