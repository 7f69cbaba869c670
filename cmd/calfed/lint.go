package main

import "github.com/spf13/cobra"

func newLintCommand() *cobra.Command { return &cobra.Command{Use: "lint"} } // CONTRACT STUB
