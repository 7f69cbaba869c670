package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// demoTime bounds the whole demo; it takes a second or two.
const demoTime = 30 * time.Second

func newDemoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch two organisations exchange invitations, and three attacks fail",
		Long: "Runs two organisations in this process, alpha.example and beta.example, on loopback: a gateway, a\n" +
			"calendar store and signing keys each, a DNS server and a certificate authority between them. They\n" +
			"find each other, invite, reply, reschedule, ask for busy times and cancel; then a forged, a\n" +
			"tampered and a replayed message are refused. All of it is real: resources, DNS, TLS, DKIM. Nothing\n" +
			"leaves this machine, and nothing stays on it.\n\n" +
			"With --keep both go on when the story is told, so that you can connect a calendar program to each\n" +
			"side and invite people yourself.\n\n" +
			"Ends with 1 when anything goes otherwise than the story says. NO_COLOR=1 turns colours off.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := runDemo(cmd.Context(), newTeller(cmd.OutOrStdout()), keep); err != nil {
				return failed(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "go on after the story, until interrupted")
	return cmd
}

// runDemo tells the story from beginning to end, and keeps the stage when asked to. The error is the first thing that went
// otherwise.
func runDemo(ctx context.Context, tell *teller, keep bool) (err error) {
	began := time.Now()
	told, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	folder, err := os.MkdirTemp("", "calfed-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	w, err := newWorld(told, folder)
	if err != nil {
		return fmt.Errorf("cannot set the stage: %w", err)
	}
	s := &story{teller: tell, world: w}
	err = s.run(told)
	if err == nil && keep {
		s.end(time.Since(began))
		w.keep(ctx, tell.out)
	}
	if closeErr := w.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		s.fail(err)
		return fmt.Errorf("the demo did not go as it should: %w", err)
	}
	if !keep {
		s.end(time.Since(began))
	}
	return nil
}
