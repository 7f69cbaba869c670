package main

import "github.com/spf13/cobra"

func newDKIMCommand() *cobra.Command { return &cobra.Command{Use: "dkim"} } // CONTRACT STUB
