package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of one file, so that a hostile one costs no more than its size.
const (
	maxDocuments    = 10000
	maxDepth        = 100
	maxAliasedNodes = 10000 // per document, counted as often as an alias repeats them
)

// syntaxError is something wrong with YAML itself, or with what JSON cannot say.
type syntaxError struct {
	line    int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// documents calls yield with the root node of every document that holds something.
func documents(data []byte, yield func(root *yaml.Node)) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fromYAML(err)
		}
		if n >= maxDocuments {
			return &syntaxError{doc.Line, fmt.Sprintf("more than %d documents in one file", maxDocuments)}
		}
		if len(doc.Content) == 1 && doc.Content[0].ShortTag() != "!!null" {
			yield(doc.Content[0])
		}
	}
}

// fromYAML takes the line out of the parser's message, the only place where it says it.
func fromYAML(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return &syntaxError{line, "not YAML: " + text}
			}
		}
	}
	return &syntaxError{0, "not YAML: " + message}
}

// converter turns nodes into what encoding/json would have made of the same data.
type converter struct {
	open    map[*yaml.Node]bool // anchors being expanded
	aliased int
	errs    []*syntaxError
}

func (c *converter) fail(n *yaml.Node, format string, args ...any) {
	c.errs = append(c.errs, &syntaxError{n.Line, fmt.Sprintf(format, args...)})
}

func (c *converter) convert(n *yaml.Node, depth int, inAlias bool) any {
	if depth > maxDepth {
		c.fail(n, "nested deeper than %d levels", maxDepth)
		return nil
	}
	if inAlias {
		if c.aliased++; c.aliased > maxAliasedNodes {
			if c.aliased == maxAliasedNodes+1 {
				c.fail(n, "aliases repeat more than %d values", maxAliasedNodes)
			}
			return nil
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		if c.open[n.Alias] {
			c.fail(n, "alias %q stands inside its own anchor", n.Value)
			return nil
		}
		c.open[n.Alias] = true
		defer delete(c.open, n.Alias)
		return c.convert(n.Alias, depth+1, true)
	case yaml.MappingNode:
		return c.mapping(n, depth, inAlias)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			out = append(out, c.convert(item, depth+1, inAlias))
		}
		return out
	default:
		return c.scalar(n)
	}
}

func (c *converter) mapping(n *yaml.Node, depth int, inAlias bool) map[string]any {
	out := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	var merged []any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, c.convert(value, depth+1, inAlias))
			continue
		}
		if key.Kind != yaml.ScalarNode {
			c.fail(key, "a field name must be a string")
			continue
		}
		if first, repeated := lines[key.Value]; repeated {
			c.fail(key, "field %q is already set in line %d", key.Value, first)
			continue
		}
		lines[key.Value] = key.Line
		out[key.Value] = c.convert(value, depth+1, inAlias)
	}
	for _, m := range merged {
		c.merge(n, out, m)
	}
	return out
}

// merge fills in what a merge key (<<) brings and the mapping does not set itself.
func (c *converter) merge(n *yaml.Node, into map[string]any, from any) {
	switch from := from.(type) {
	case map[string]any:
		for k, v := range from {
			if _, set := into[k]; !set {
				into[k] = v
			}
		}
	case []any:
		for _, item := range from {
			if m, ok := item.(map[string]any); ok {
				c.merge(n, into, m)
			} else {
				c.fail(n, "<< merges mappings only")
			}
		}
	default:
		c.fail(n, "<< merges mappings only")
	}
}

// kubectl reads YAML 1.1, where these are booleans; the parser here reads YAML 1.2.
var (
	yaml11True  = []string{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
	yaml11False = []string{"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
)

func (c *converter) scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!str":
		if n.Style == 0 && slices.Contains(yaml11True, n.Value) {
			return true
		}
		if n.Style == 0 && slices.Contains(yaml11False, n.Value) {
			return false
		}
		return n.Value
	case "!!timestamp":
		return n.Value
	case "!!bool", "!!int", "!!float", "!!binary":
		var v any
		if err := n.Decode(&v); err != nil {
			c.fail(n, "%q is no %s", n.Value, strings.TrimPrefix(n.ShortTag(), "!!"))
			return nil
		}
		switch v := v.(type) {
		case int:
			return int64(v)
		case uint64:
			return float64(v)
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				c.fail(n, "%q is no number in JSON", n.Value)
				return nil
			}
		}
		return v
	default:
		c.fail(n, "unknown tag %s", n.Tag)
		return nil
	}
}
