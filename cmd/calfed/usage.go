package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is how many columns help takes.
const helpWidth = 100

// explainUsage makes a mistake at the prompt end with where to read more, and wraps the help.
func explainUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return seeHelp(cmd, err.Error()) })
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", fmt.Sprintf("FlagUsagesWrapped %d ", helpWidth)))
}

func seeHelp(cmd *cobra.Command, message string) error {
	return fmt.Errorf("%s; see %s --help", message, cmd.CommandPath())
}

// oneArgument is for commands that take exactly one, called what.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return seeHelp(cmd, what+" is missing")
		case 1:
			return nil
		}
		return seeHelp(cmd, fmt.Sprintf("one %s is enough, there is %q too", what, args[1]))
	}
}

// someArguments is for commands that take one or more, called what.
func someArguments(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return seeHelp(cmd, what+" is missing")
		}
		return nil
	}
}
