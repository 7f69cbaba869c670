package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The table of values stands between these lines of the README.
const (
	tableBegin = "<!-- values: make generate -->\n"
	tableEnd   = "<!-- end of values -->\n"
)

// readme returns the chart's README with the table of values as values.yaml has them.
func readme(root string) ([]byte, error) {
	path := filepath.Join(root, chart, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before, rest, ok := bytes.Cut(text, []byte(tableBegin))
	_, after, closed := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !closed {
		return nil, fmt.Errorf("%s lacks the lines %q and %q", path, tableBegin, tableEnd)
	}
	values, err := os.ReadFile(filepath.Join(root, chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	rows, err := table(values)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{before, []byte(tableBegin), []byte(rows), []byte(tableEnd), after}, nil), nil
}

// table is a Markdown table of the values, each with the comment above it. What has a comment is one value, whatever is in it;
// a value without one is an error.
func table(values []byte) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(values, &doc); err != nil {
		return "", err
	}
	out := &strings.Builder{}
	fmt.Fprint(out, "| value | default | meaning |\n|---|---|---|\n")
	if err := rows(out, "", doc.Content[0]); err != nil {
		return "", err
	}
	return out.String(), nil
}

func rows(out *strings.Builder, above string, mapping *yaml.Node) error {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := above + key.Value
		if key.HeadComment == "" && value.Kind == yaml.MappingNode {
			if err := rows(out, name+".", value); err != nil {
				return err
			}
			continue
		}
		about := strings.Join(strings.Fields(strings.ReplaceAll(key.HeadComment, "#", "")), " ")
		if about == "" {
			return fmt.Errorf("values.yaml, line %d: %s has no comment", key.Line, name)
		}
		text, err := flow(value)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| `%s` | `%s` | %s |\n", name, text, about)
	}
	return nil
}

// flow writes a value in one line.
func flow(value *yaml.Node) (string, error) {
	one := *value
	one.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(&one)
	return strings.TrimSpace(string(text)), err
}
