package itip

import "strings"

// nesting follows BEGIN and END of one VCALENDAR for readers that need less than an inspection.
type nesting struct {
	open       []string // outermost first
	array      [4]string
	components int
	seen       bool
}

func (n *nesting) depth() int { return len(n.open) }

// in says whether a property stands directly in a main component of that name.
func (n *nesting) in(component string) bool { return len(n.open) == 2 && n.open[1] == component }

// take checks where l stands. For an END it returns the name of what ended.
func (n *nesting) take(l *contentLine, lim Limits) (ended string, err *Error) {
	switch l.name {
	case "BEGIN":
		name := componentName(l.value)
		if name == "" || l.params != "" {
			return "", syntax("component-name", l.num, "malformed BEGIN")
		}
		if n.components++; n.components > lim.MaxComponents {
			return "", tooLarge("components", l.num, "too many components")
		}
		if len(n.open) == lim.MaxDepth {
			return "", tooLarge("depth", l.num, "components nested too deeply")
		}
		if len(n.open) == 0 {
			n.open = n.array[:0]
			if name != "VCALENDAR" {
				return "", syntax("outside-calendar", l.num, "component outside VCALENDAR")
			}
			if n.seen {
				return "", syntax("calendar-repeated", l.num, "more than one VCALENDAR")
			}
			n.seen = true
		} else if name == "VCALENDAR" || len(n.open) > 1 && isMain(name) {
			// no grammar has it there, and a calendar server that reads it all the same would obey parties that nobody checked (IS-ITIP-1)
			return "", syntax("component-nested", l.num, "calendar or main component inside a component")
		}
		n.open = append(n.open, name)
	case "END":
		last := len(n.open) - 1
		if last < 0 || l.params != "" || !strings.EqualFold(n.open[last], l.value) {
			return "", syntax("component-end", l.num, "END without its BEGIN")
		}
		ended = n.open[last]
		n.open = n.open[:last]
	default:
		if len(n.open) == 0 {
			return "", syntax("outside-calendar", l.num, "content outside VCALENDAR")
		}
	}
	return ended, nil
}

// done checks the end of the text.
func (n *nesting) done() *Error {
	switch {
	case !n.seen:
		return syntax("no-calendar", 0, "no VCALENDAR")
	case len(n.open) > 0:
		return syntax("component-end", 0, "component without END")
	}
	return nil
}

// outline reads the lines of one VCALENDAR and follows its nesting.
type outline struct {
	scanner
	nesting
}

func (o *outline) init(body []byte) *Error { return o.scanner.init(body, sized(body)) }

// next reads a line; false at the end of the text.
func (o *outline) next(l *contentLine) (bool, *Error) {
	ok, err := o.scanner.next(l)
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, o.done()
	}
	_, err = o.take(l, o.lim)
	return err == nil, err
}

// componentName is the upper-case name, "" when malformed.
func componentName(s string) string {
	lower := false
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) {
			return ""
		}
		lower = lower || s[i] >= 'a'
	}
	if lower {
		return strings.ToUpper(s)
	}
	return s
}
