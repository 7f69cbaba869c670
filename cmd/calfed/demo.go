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
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch two organisations exchange invitations, and three attacks fail",
		Long: "Runs two organisations in this process, alpha.example and beta.example, on loopback: a gateway, a\n" +
			"calendar store and signing keys each, a DNS server and a certificate authority between them. They\n" +
			"find each other, invite, reply, reschedule, ask for busy times and cancel; then a forged, a\n" +
			"tampered and a replayed message are refused. All of it is real: resources, DNS, TLS, DKIM. Nothing\n" +
			"leaves this machine, and nothing stays on it.\n\n" +
			"Ends with 1 when anything goes otherwise than the story says. NO_COLOR=1 turns colours off.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTime)
			defer cancel()
			if err := runDemo(ctx, newTeller(cmd.OutOrStdout())); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}

// runDemo tells the story from beginning to end. The error is the first thing that went otherwise.
func runDemo(ctx context.Context, tell *teller) (err error) {
	began := time.Now()
	folder, err := os.MkdirTemp("", "calfed-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	w, err := newWorld(ctx, folder)
	if err != nil {
		return fmt.Errorf("cannot set the stage: %w", err)
	}
	s := &story{teller: tell, world: w}
	err = s.run(ctx)
	if closeErr := w.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		s.fail(err)
		return fmt.Errorf("the demo did not go as it should: %w", err)
	}
	s.end(time.Since(began))
	return nil
}
