// Command peer is the load of the tests on a cluster: a process of its own that keeps up a steady stream of invitations and
// tells what became of each. As `peer send` it is another organisation, which signs them and posts them to a gateway; as
// `peer submit` it is a calendar server, which hands them to the gateway of its own organisation.
//
// It finds no receivers and reads no capabilities: it posts where it is told. Package load has the schedule and the counts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// a second signal kills: stop() restores the default behaviour after the first one
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := &cobra.Command{
		Use:   "peer",
		Short: "Keep up a steady load of invitations and tell what became of each",
		Long: `Sends invitations at a steady rate: a late answer does not slow the next one down. A message counts as
answered only when the HTTP status is 200 and the request-status 2.x. One that is not is sent again after a
second, with the same UID and body, at most 30 times.

It is controlled by HTTP at --listen:
  GET  /report             what became of the messages, JSON
  POST /rate?per-second=N  another rate; 0 pauses
  POST /settle             begin no more messages, wait until each is answered or given up, and report
  POST /reset              begin new counts, and UIDs with another beginning
  GET  /healthz            200
SIGTERM settles and prints the report.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newSendCommand(), newSubmitCommand())
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		return 1
	}
	return 0
}
