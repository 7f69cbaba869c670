package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/manifests"
)

func newLintCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lint DIR…",
		Short: "Say what is wrong with manifests",
		Long: "Reads every manifest below the folders (or the named files) as the API server would, compiles\n" +
			"every gateway in them, and prints each problem with file, line, object and field: unknown fields,\n" +
			"broken rules, references that lead nowhere, conflicts, policies that never decide.\n\n" +
			"Ends with 0 when there are warnings at most, with 1 when there are errors, with 2 when a folder\n" +
			"cannot be read.",
		Example: "  calfed lint ./config",
		Args:    someArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			c, err := compileManifests(args, compile.CapabilityState{}, time.Now())
			if err != nil {
				return err
			}
			report := newLintReport(c)
			return conclude(cmd.OutOrStdout(), output, report, report.Errors == 0)
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}

// lintReport is what `lint -o json` prints.
type lintReport struct {
	Problems []lintProblem `json:"problems"`
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
	Objects  int           `json:"objects"` // read without an error
	text     []manifests.Problem
}

type lintProblem struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Object   string `json:"object,omitempty"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message"`
}

func newLintReport(c *compiled) *lintReport {
	set := c.set
	r := &lintReport{
		Problems: []lintProblem{},
		Errors:   c.errors(),
		Objects:  len(set.Gateways) + len(set.Domains) + len(set.Keys) + len(set.Policies) + len(set.Secrets) + len(set.ConfigMaps) + len(set.Namespaces),
		text:     c.problems,
	}
	r.Warnings = len(c.problems) - r.Errors
	for _, p := range c.problems {
		r.Problems = append(r.Problems, lintProblem(p))
	}
	return r
}

func (r *lintReport) print(w io.Writer) error {
	for _, p := range r.text {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s read: %s, %s\n", count(r.Objects, "object"), count(r.Errors, "error"), count(r.Warnings, "warning"))
	return err
}

// count is "1 error", "2 errors".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
