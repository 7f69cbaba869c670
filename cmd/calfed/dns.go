package main

import "github.com/spf13/cobra"

func newDNSCommand() *cobra.Command { return &cobra.Command{Use: "dns"} } // CONTRACT STUB
