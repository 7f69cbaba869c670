package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The values of -o.
const (
	outputText = "text"
	outputJSON = "json"
)

// addOutputFlag gives a command that prints facts its -o.
func addOutputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", outputText, "text or json")
}

func checkOutput(output string) error {
	if output != outputText && output != outputJSON {
		return fmt.Errorf("-o %q: want %s or %s", output, outputText, outputJSON)
	}
	return nil
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
