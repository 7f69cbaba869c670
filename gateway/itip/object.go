package itip

import (
	"slices"
	"strings"
)

// node is one component of an object as content lines and components, in order. What is not edited is written as it was
// read, byte for byte (IS-ITIP-4).
type node struct {
	name       string // upper-case
	begin, end []byte
	items      []item
}

// item is a property or a component.
type item struct {
	line *property
	comp *node
}

// property is one content line with its bytes.
type property struct {
	contentLine
	raw []byte
}

// parseObject reads a calendar object into a tree.
func parseObject(body []byte) (*node, *Error) {
	var (
		o    outline
		l    contentLine
		root *node
		open []*node
	)
	if err := o.init(body); err != nil {
		return nil, err
	}
	for {
		ok, err := o.next(&l)
		if err != nil {
			return nil, err
		}
		if !ok {
			return root, nil
		}
		raw := body[l.start:l.end:l.end]
		if raw[len(raw)-1] != '\n' { // the last line may lack its end
			raw = append(raw, "\r\n"...)
		}
		switch l.name {
		case "BEGIN":
			c := &node{name: o.open[len(o.open)-1], begin: raw}
			if root == nil {
				root = c
			} else {
				parent := open[len(open)-1]
				parent.items = append(parent.items, item{comp: c})
			}
			open = append(open, c)
		case "END":
			open[len(open)-1].end = raw
			open = open[:len(open)-1]
		default:
			c := open[len(open)-1]
			c.items = append(c.items, item{line: &property{l, raw}})
		}
	}
}

// render writes the component.
func (c *node) render(dst []byte) []byte {
	dst = append(dst, c.begin...)
	for _, it := range c.items {
		if it.comp != nil {
			dst = it.comp.render(dst)
		} else {
			dst = append(dst, it.line.raw...)
		}
	}
	return append(dst, c.end...)
}

// newProperty makes a property of one unfolded content line that we wrote.
func newProperty(text string) *property {
	p := &property{raw: Fold(nil, text)}
	_ = p.parse(text, len(text)) // the text is made of lines that parsed
	return p
}

// first finds a property by its upper-case name.
func (c *node) first(name string) *property {
	for _, it := range c.items {
		if it.line != nil && it.line.name == name {
			return it.line
		}
	}
	return nil
}

// lines lists the properties of that name.
func (c *node) lines(name string) []*property {
	var out []*property
	for _, it := range c.items {
		if it.line != nil && it.line.name == name {
			out = append(out, it.line)
		}
	}
	return out
}

// comps lists the components of that name.
func (c *node) comps(name string) []*node {
	var out []*node
	for _, it := range c.items {
		if it.comp != nil && it.comp.name == name {
			out = append(out, it.comp)
		}
	}
	return out
}

// remove drops the properties or components that match.
func (c *node) remove(match func(item) bool) { c.items = slices.DeleteFunc(c.items, match) }

func isLine(names ...string) func(item) bool {
	return func(it item) bool { return it.line != nil && slices.Contains(names, it.line.name) }
}

func isComp(name string) func(item) bool {
	return func(it item) bool { return it.comp != nil && it.comp.name == name }
}

// add puts properties behind the others and before components.
func (c *node) add(list ...*property) {
	at := len(c.items)
	for i, it := range c.items {
		if it.comp != nil {
			at = i
			break
		}
	}
	items := make([]item, len(list))
	for i, p := range list {
		items[i].line = p
	}
	c.items = slices.Insert(c.items, at, items...)
}

// size is the number of octets that render writes.
func (c *node) size() int {
	n := len(c.begin) + len(c.end)
	for _, it := range c.items {
		if it.comp != nil {
			n += it.comp.size()
		} else {
			n += len(it.line.raw)
		}
	}
	return n
}

// set replaces the first property of p's name, or adds p. The others of that name go.
func (c *node) set(p *property) {
	done := false
	c.remove(func(it item) bool {
		if it.line == nil || it.line.name != p.name {
			return false
		}
		if done {
			return true
		}
		done = true
		return false
	})
	if !done {
		c.add(p)
		return
	}
	for i, it := range c.items {
		if it.line != nil && it.line.name == p.name {
			c.items[i].line = p
		}
	}
}

// replace puts p where old is.
func (c *node) replace(old, p *property) {
	for i, it := range c.items {
		if it.line == old {
			c.items[i].line = p
		}
	}
}

// clone copies the component so that its items can be edited; lines are shared, for they are only ever replaced.
func (c *node) clone() *node {
	out := *c
	out.items = make([]item, len(c.items))
	for i, it := range c.items {
		if it.comp != nil {
			it.comp = it.comp.clone()
		}
		out.items[i] = it
	}
	return &out
}

// param is one parameter as written, ";NAME=value".
type param struct{ text, name, value string }

// paramList splits a line's parameters, which are known to be well-formed.
func paramList(params string) []param {
	var out []param
	for params != "" {
		quoted := false
		end := 1
		for end < len(params) && (quoted || params[end] != ';') {
			quoted = quoted != (params[end] == '"')
			end++
		}
		text := params[:end]
		name, value, _ := strings.Cut(text[1:], "=")
		out = append(out, param{text, strings.ToUpper(name), value})
		params = params[end:]
	}
	return out
}

// withoutParams is the line without the parameters whose upper-case name matches.
func (p *property) withoutParams(match func(name string) bool) *property {
	text := p.text[:len(p.text)-len(p.value)-len(p.params)-1]
	for _, q := range paramList(p.params) {
		if !match(q.name) {
			text += q.text
		}
	}
	if text += ":" + p.value; text == p.text {
		return p
	}
	return newProperty(text)
}

// withParam is the line with one parameter set; all else stays as spelled.
func (p *property) withParam(name, value string) *property {
	text, done := p.text[:len(p.text)-len(p.value)-len(p.params)-1], false
	for _, q := range paramList(p.params) {
		if q.name == name {
			q.text = q.text[:len(q.text)-len(q.value)] + value
			done = true
		}
		text += q.text
	}
	if !done {
		text += ";" + name + "=" + value
	}
	return newProperty(text + ":" + p.value)
}

// param returns a parameter's value, unquoted, "" when absent.
func (p *property) param(name string) string {
	for _, q := range paramList(p.params) {
		if q.name == name {
			return unquote(q.value)
		}
	}
	return ""
}

// timeParams are the parameters that say how to read a date: TZID and VALUE.
func (p *property) timeParams() string {
	out := ""
	for _, q := range paramList(p.params) {
		if q.name == "TZID" || q.name == "VALUE" {
			out += q.text
		}
	}
	return out
}
