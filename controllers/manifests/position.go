package manifests

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// origin is where an object came from.
type origin struct {
	file string
	node *yaml.Node
}

// lineOf finds the line of a field, or of the nearest parent that exists.
func lineOf(n *yaml.Node, field string) int {
	line := n.Line
	for _, step := range steps(field) {
		next, at := child(n, step)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return line
}

// steps splits "spec.keys[0].name" into spec, keys, 0, name; "data[tls.crt]" into data, tls.crt.
func steps(field string) []string {
	var out []string
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			inner, rest, ok := strings.Cut(field[1:], "]")
			if !ok {
				return out
			}
			out, field = append(out, inner), rest
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			out, field = append(out, field[:end]), field[end:]
		}
	}
	return out
}

// child returns the value below n and the line where it is named.
func child(n *yaml.Node, step string) (*yaml.Node, int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	}
	return nil, 0
}
