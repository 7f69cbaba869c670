// Command chart writes what the Helm chart has of other parts of the tree, so that the two cannot differ: the
// CustomResourceDefinitions and the operator's rules from config, and the table of values in its README from values.yaml.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	files, err := generate(root)
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(root, name), text, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

const chart = "charts/calfed"

// generate returns the contents of all that is generated, by path below root.
func generate(root string) (map[string][]byte, error) {
	out := map[string][]byte{}
	definitions, err := filepath.Glob(filepath.Join(root, "config/crd/*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, path := range definitions {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		out[filepath.Join(chart, "files/crds", filepath.Base(path))] = text
	}
	if out[chart+"/files/rules.yaml"], err = rules(root); err != nil {
		return nil, err
	}
	out[chart+"/README.md"], err = readme(root)
	return out, err
}
