package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/dkim"
)

// verifyOptions are the flags of `dkim verify`.
type verifyOptions struct {
	record, at, signatureTime, output string
	minRSABits                        int
}

func newVerifyCommand() *cobra.Command {
	var opt verifyOptions
	cmd := &cobra.Command{
		Use:   "verify FILE --record RECORD --at TIME",
		Short: "Verify a raw HTTP/1.1 request",
		Long: "Reads a raw HTTP/1.1 request (- for stdin) and judges it as a receiver would at that time with\n" +
			"that key: header fields, signature, alignment, time, body, key. Every check is printed. Ends with\n" +
			"0 when the request verifies, with 1 and a reason code when it does not, with 2 when the file is no\n" +
			"request.",
		Example: "  calfed dkim verify signed.http --record @record.txt --at 2026-11-22T14:00:00Z",
		Args:    oneArgument("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := opt.verifier()
			if err != nil {
				return err
			}
			req, err := readRequestFile(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			report := v.verify(req)
			return conclude(cmd.OutOrStdout(), opt.output, report, report.Verified)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.record, "record", "", `key RECORD, such as "v=DKIM1; k=rsa; p=…", or @FILE that holds one`)
	f.StringVar(&opt.at, "at", "", "`TIME` of the check, RFC 3339 (default now)")
	f.StringVar(&opt.signatureTime, "signature-time", "Required", "Required, or Optional: accept signatures without t=")
	f.IntVar(&opt.minRSABits, "min-rsa-bits", 2048, "smallest RSA key to accept, never below 1024")
	addOutputFlag(cmd, &opt.output)
	_ = cmd.MarkFlagRequired("record")
	return cmd
}

func (o *verifyOptions) verifier() (*verifier, error) {
	if err := checkOutput(o.output); err != nil {
		return nil, err
	}
	at, err := parseAt(o.at)
	if err != nil {
		return nil, err
	}
	v := &verifier{record: o.record, at: at, rules: dkim.Rules{MinRSABits: o.minRSABits}}
	switch {
	case strings.EqualFold(o.signatureTime, "Required"):
	case strings.EqualFold(o.signatureTime, "Optional"):
		v.rules.TimeOptional = true
	default:
		return nil, fmt.Errorf("--signature-time %q: want Required or Optional", o.signatureTime)
	}
	if o.minRSABits < 1024 { // IS-DKIM-5
		return nil, fmt.Errorf("--min-rsa-bits %d: smaller keys than 1024 bits are never accepted", o.minRSABits)
	}
	if name, isFile := strings.CutPrefix(o.record, "@"); isFile {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		v.record = strings.TrimSpace(string(data))
	}
	return v, nil
}

// verifyReport is the outcome of all checks.
type verifyReport struct {
	Verified bool          `json:"verified"`
	Reason   string        `json:"reason,omitempty"` // code of the first check that failed
	At       time.Time     `json:"at"`
	Checks   []verifyCheck `json:"checks"`
}

// verifyCheck is one line of the report.
type verifyCheck struct {
	Name   string `json:"name"`
	Result string `json:"result"` // one of the result… constants
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// The results of a check.
const (
	resultOK   = "ok"
	resultFail = "FAIL"
	resultNote = "note" // reported, decides nothing
	resultSkip = "skip" // an earlier failure leaves nothing to check
)

func (r *verifyReport) print(w io.Writer) error {
	for _, c := range r.Checks {
		if _, err := fmt.Fprintf(w, "%-4s  %-18s  %s\n", c.Result, c.Name, c.Detail); err != nil {
			return err
		}
	}
	if r.Verified {
		_, err := fmt.Fprintln(w, "verified")
		return err
	}
	_, err := fmt.Fprintln(w, "reason:", r.Reason)
	return err
}
