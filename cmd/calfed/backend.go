package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

func newBackendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Questions about the calendar system behind a domain",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBackendTestCommand())
	return cmd
}

// backendTestOptions are the flags of `backend test`.
type backendTestOptions struct {
	manifests []string
	user      string
	timeout   time.Duration
	output    string
}

func newBackendTestCommand() *cobra.Command {
	var opt backendTestOptions
	cmd := &cobra.Command{
		Use:   "test DOMAIN --user ADDRESS --manifests DIR…",
		Short: "Try the calendar system of a domain with one user's calendar",
		Long: "Tries the back end of a domain by the settings in the manifests, with the calendar of one user:\n" +
			"finds the user, writes an event of its own in the far future, reads it back, changes it, removes\n" +
			"it, and asks free/busy. It leaves nothing behind and sends nothing to other organisations.\n\n" +
			"Ends with 0 when every step went well, with 1 when one did not.",
		Example: "  calfed backend test example.org --user alice@example.org --manifests ./config",
		Args:    oneArgument("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(opt.output); err != nil {
				return err
			}
			report, err := opt.test(cmd, args[0])
			if err != nil {
				return err
			}
			return conclude(cmd.OutOrStdout(), opt.output, report, report.OK)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.manifests, "manifests", nil, "`DIR` (or file) with manifests, repeated or separated by commas")
	f.StringVar(&opt.user, "user", "", "`ADDRESS` of a user whose calendar may be written into for a moment")
	f.DurationVar(&opt.timeout, "timeout", time.Minute, "how long the whole test may take")
	_ = cmd.MarkFlagRequired("manifests")
	_ = cmd.MarkFlagRequired("user")
	addOutputFlag(cmd, &opt.output)
	return cmd
}

func (o *backendTestOptions) test(cmd *cobra.Command, name string) (*backendTestReport, error) {
	domain, err := cua.Domain(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no domain name", name)
	}
	user, err := cua.Parse(o.user)
	if err != nil {
		return nil, fmt.Errorf("--user %q is no calendar user address: want alice@%s", o.user, domain)
	}
	if user.Domain() != domain {
		return nil, fmt.Errorf("--user %s is not in %s", user, domain)
	}
	c, err := compileManifests(o.manifests, compile.CapabilityState{}, time.Now())
	if err != nil {
		return nil, err
	}
	c.mention(cmd.ErrOrStderr())
	out, d := c.serving(domain)
	switch {
	case d == nil:
		return nil, failed(c.unserved(domain))
	case out.Snapshot == nil:
		return nil, failed(fmt.Errorf("the gateway of %s cannot be compiled, see calfed lint", domain))
	}
	active, err := snapshot.Activate(out.Snapshot)
	if err != nil {
		return nil, err
	}
	way, err := newNetwork(out.Snapshot.Gateway.Egress)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutTime}))
	backends, err := gateway.NewBackends(gateway.BackendsConfig{Active: active, Guard: way.guard, UserAgent: "calfed/" + version, Log: log})
	if err != nil {
		return nil, err
	}
	defer backends.Close()
	tester, ok := backends.ByDomain[domain].(backend.Tester)
	if !ok {
		return nil, failed(fmt.Errorf("a back end of type %s cannot be tested without sending something: use calfed send", d.Backend.Type))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	report := &backendTestReport{Domain: domain, Type: string(d.Backend.Type), User: user.URI(), OK: true, Steps: []backendTestStep{}}
	for _, check := range tester.Test(ctx, user) {
		report.Steps = append(report.Steps, backendTestStep(check))
		report.OK = report.OK && (check.OK || check.Skipped)
	}
	return report, nil
}

// backendTestReport is what `backend test -o json` prints.
type backendTestReport struct {
	Domain string            `json:"domain"`
	Type   string            `json:"type"`
	User   string            `json:"user"`
	OK     bool              `json:"ok"`
	Steps  []backendTestStep `json:"steps"`
}

type backendTestStep struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
	Cause    string `json:"cause,omitempty"`
	OK       bool   `json:"ok"`
	Skipped  bool   `json:"skipped,omitempty"`
}

func (r *backendTestReport) print(w io.Writer) error {
	width := 0
	for _, s := range r.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range r.Steps {
		verdict := "failed"
		switch {
		case s.OK:
			verdict = "ok"
		case s.Skipped:
			verdict = "skipped"
		}
		fmt.Fprintf(w, "%-7s  %-*s  %s\n", verdict, width, s.Name, printable(s.Seen))
		if s.OK || s.Skipped {
			continue
		}
		fmt.Fprintf(w, "%9s%-*s  expected: %s\n", "", width, "", s.Expected)
		fmt.Fprintf(w, "%9s%-*s  likely: %s\n", "", width, "", printable(s.Cause))
	}
	return nil
}
