package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The values of -o.
const (
	outputText = "text"
	outputJSON = "json"
	// outputMarkdown is a table as GitHub shows it.
	outputMarkdown = "markdown"
)

// addOutputFlag gives a command that prints facts its -o; further are values beside text and json.
func addOutputFlag(cmd *cobra.Command, output *string, further ...string) {
	cmd.Flags().StringVarP(output, "output", "o", outputText, alternatives(further))
}

func checkOutput(output string, further ...string) error {
	if output != outputText && output != outputJSON && !slices.Contains(further, output) {
		return fmt.Errorf("-o %q: want %s", output, alternatives(further))
	}
	return nil
}

func alternatives(further []string) string {
	all := append([]string{outputText, outputJSON}, further...)
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// report is what a command found out.
type report interface{ print(w io.Writer) error }

// conclude prints r, as JSON or for a person; the exit code is 1 unless the answer is yes.
func conclude(w io.Writer, output string, r report, yes bool) error {
	var err error
	if output == outputJSON {
		err = printJSON(w, r)
	} else {
		err = r.print(w)
	}
	if err != nil || yes {
		return err
	}
	return failed(nil)
}
