// Command conformance prints which tests prove which requirement of the wire protocol, and whether they pass.
//
// A test cites what it proves in its doc comment: "Proves: IS-DKIM-4, IS-DKIM-6". An id of ids.txt that is not marked
// "later" must have a passing test; a cited id that ids.txt lacks is a mistake. Exit status 1 when either fails. Tests with a
// build tag (interop, which needs real servers) are not counted.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

//go:embed ids.txt
var idList string

// requirement is one line of ids.txt.
type requirement struct {
	id, about, note string
}

// test is one test function, by import path suffix ("./gateway/dkim") and name.
type test struct{ dir, name string }

func (t test) String() string {
	return strings.TrimPrefix(t.dir, "./gateway/") + "." + strings.TrimPrefix(t.name, "Test")
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := report(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func report(ctx context.Context) (bool, error) {
	requirements := readIDs()
	proofs, err := readProofs(".")
	if err != nil {
		return false, err
	}
	passed, err := runTests(ctx, proofs)
	if err != nil {
		return false, err
	}
	ok := true
	known := map[string]bool{}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTESTS\tRESULT\tABOUT")
	count := map[string]int{}
	for _, r := range requirements {
		known[r.id] = true
		tests := proofs[r.id]
		result := "pass"
		for _, t := range tests {
			if !passed[t] {
				result = "FAIL " + t.String()
				break
			}
		}
		if len(tests) == 0 {
			result = "NO TEST"
			if r.note == "later" {
				result = "later"
			}
		}
		if result != "pass" && result != "later" {
			ok = false
		}
		about := r.about
		if strings.HasPrefix(r.note, "part:") {
			about += " (later: " + strings.TrimSpace(strings.TrimPrefix(r.note, "part:")) + ")"
		}
		count[strings.Fields(result)[0]]++
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", r.id, len(tests), result, about)
	}
	_ = w.Flush()
	fmt.Println()
	for _, r := range requirements {
		if tests := proofs[r.id]; len(tests) > 0 {
			fmt.Printf("%s: %s\n", r.id, join(tests))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(proofs)) {
		if !known[id] {
			ok = false
			fmt.Printf("%s is cited by %s and is no requirement\n", id, join(proofs[id]))
		}
	}
	fmt.Printf("\n%d requirements: %d pass, %d later, %d fail, %d without a test\n",
		len(requirements), count["pass"], count["later"], count["FAIL"], count["NO"])
	return ok, nil
}

func join(tests []test) string {
	names := make([]string, len(tests))
	for i, t := range tests {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}

func readIDs() []requirement {
	var out []requirement
	for line := range strings.Lines(idList) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		r := requirement{id: f[0], about: f[1]}
		if len(f) > 2 {
			r.note = f[2]
		}
		out = append(out, r)
	}
	return out
}

var idPattern = regexp.MustCompile(`IS-[A-Z]+-[0-9]+`)

// readProofs finds the Proves: lines of all test functions below root.
func readProofs(root string) (map[string][]test, error) {
	out := map[string][]test{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "hack" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		if built, err := build.Default.MatchFile(filepath.Dir(path), d.Name()); err != nil || !built {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			fn, isFunc := decl.(*ast.FuncDecl)
			if !isFunc || fn.Doc == nil || !strings.HasPrefix(fn.Name.Name, "Test") {
				continue
			}
			t := test{dir: "./" + filepath.ToSlash(filepath.Dir(path)), name: fn.Name.Name}
			for line := range strings.Lines(fn.Doc.Text()) {
				if !strings.HasPrefix(line, "Proves:") {
					continue
				}
				for _, id := range idPattern.FindAllString(line, -1) {
					if !slices.Contains(out[id], t) {
						out[id] = append(out[id], t)
					}
				}
			}
		}
		return nil
	})
	return out, err
}

// runTests runs every citing test and returns those that passed. A test that was skipped has proved nothing.
func runTests(ctx context.Context, proofs map[string][]test) (map[test]bool, error) {
	byDir := map[string][]string{}
	for _, tests := range proofs {
		for _, t := range tests {
			if !slices.Contains(byDir[t.dir], t.name) {
				byDir[t.dir] = append(byDir[t.dir], t.name)
			}
		}
	}
	module, err := exec.CommandContext(ctx, "go", "list", "-m").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	names := map[string]bool{}
	for _, list := range byDir {
		for _, n := range list {
			names[n] = true
		}
	}
	args := []string{"test", "-json", "-run", "^(" + strings.Join(slices.Sorted(maps.Keys(names)), "|") + ")$"}
	args = append(args, slices.Sorted(maps.Keys(byDir))...)
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	passed := map[test]bool{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		dir := "." + strings.TrimPrefix(event.Package, strings.TrimSpace(string(module)))
		switch event.Action {
		case "pass":
			passed[test{dir, event.Test}] = true
		case "fail", "build-fail":
			fmt.Fprintf(os.Stderr, "failed: %s %s\n", dir, event.Test)
		case "build-output":
			fmt.Fprint(os.Stderr, event.Output)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) { // a failed test is reported by id
		return nil, fmt.Errorf("go test: %w: %s", err, stderr.String())
	}
	return passed, nil
}
