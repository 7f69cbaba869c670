// Command calfed is the iSchedule gateway, its demo, and the tools of the people who run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker: -X main.version=….
var version = "dev"

// Exit codes, the same for every command.
const (
	exitOK     = 0
	exitFailed = 1 // the thing asked about is not so: a signature, a lint, a delivery failed
	exitUsage  = 2 // the question could not be asked: flags, files, configuration
)

// exitError ends the program with a code of its own. A nil err prints nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failed ends a command with exitFailed; what is wrong was already printed when err is nil.
func failed(err error) error { return &exitError{code: exitFailed, err: err} }

func main() {
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "sendmail" { // a link, for programs that know no other name
		args = append([]string{"sendmail"}, args...)
	}
	os.Exit(run(args))
}

func run(args []string) int {
	// a second signal kills: stop() restores the default behaviour after the first one
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			fmt.Fprintln(os.Stderr, "calfed:", exit.err)
		}
		return exit.code
	}
	fmt.Fprintln(os.Stderr, "calfed:", err)
	return exitUsage
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "calfed",
		Short: "Real-time scheduling between the calendar systems of different organisations",
		Long: "calfed carries invitations, replies and free/busy questions between calendar servers of different\n" +
			"organisations: iSchedule, iTIP over HTTPS, signed with DKIM.\n\n" +
			"Exit codes: 0 done; 1 the answer is no (a check, a lint or a delivery failed); 2 the question\n" +
			"could not be asked.",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	explainUsage(root)
	root.AddCommand(
		newServeCommand(),
		newGatewayCommand(),
		newManagerCommand(),
		newDemoCommand(),
		newSendCommand(),
		newSendmailCommand(),
		newFreeBusyCommand(),
		newDKIMCommand(),
		newDNSCommand(),
		newCheckCommand(),
		newBackendCommand(),
		newLintCommand(),
		newPolicyCommand(),
	)
	return root
}
