package main

import "github.com/spf13/cobra"

func newFreeBusyCommand() *cobra.Command { return &cobra.Command{Use: "freebusy"} } // CONTRACT STUB
