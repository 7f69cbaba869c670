package main

import "github.com/spf13/cobra"

func newSendCommand() *cobra.Command { return &cobra.Command{Use: "send"} } // CONTRACT STUB
