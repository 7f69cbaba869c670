package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/calfed/calfed/gateway/probe"
)

// checkReport is what `check` prints.
type checkReport struct{ *probe.Report }

func (r *checkReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.Word)
	width := 0
	for _, s := range r.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range r.Steps {
		fmt.Fprintf(w, "%-7s  %-*s  %s\n", s.Verdict, width, s.Name, s.Seen)
		if s.Verdict == probe.OK || s.Verdict == probe.Skipped && s.Cause == "" {
			continue
		}
		fmt.Fprintf(w, "%9s%-*s  expected: %s\n", "", width, "", s.Expected)
		fmt.Fprintf(w, "%9s%-*s  likely: %s\n", "", width, "", s.Cause)
	}
	return nil
}

// markdown is the report as GitHub shows it.
func (r *checkReport) markdown(w io.Writer) {
	mark := map[probe.Verdict]string{probe.OK: "✅", probe.Warning: "⚠️", probe.Failed: "❌", probe.Skipped: "➖"}
	fmt.Fprintf(w, "### %s: **%s**\n\n", r.Domain, r.Word)
	fmt.Fprint(w, "| | step | seen | expected | likely cause |\n|---|---|---|---|---|\n")
	for _, s := range r.Steps {
		expected := s.Expected
		if s.Verdict == probe.OK {
			expected = ""
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", mark[s.Verdict], cell(s.Name), cell(s.Seen), cell(expected), cell(s.Cause))
	}
}

// cell keeps what strangers wrote inside one cell of a table, as text.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "&", "&amp;", "`", "\\`", "[", `\[`, "*", `\*`, "_", `\_`).Replace(s)
}
