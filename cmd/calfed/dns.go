package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The values of dns --format.
const (
	formatBIND    = "bind"
	formatDnsmasq = "dnsmasq"
	formatJSON    = "json"
)

func newDNSCommand() *cobra.Command {
	var (
		paths          []string
		format, output string
		port           uint16
	)
	cmd := &cobra.Command{
		Use:   "dns DOMAIN --manifests DIR…",
		Short: "Print the DNS records that should exist for a domain",
		Long: "Prints the records by which other organisations find the gateway of a domain and the keys that sign for it: SRV and, for\n" +
			"keys looked up by dns/txt, TXT. As lines of a BIND zone, of dnsmasq.conf, or as JSON.",
		Example: "  calfed dns example.org --manifests ./config >> db.example.org",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if output == outputJSON && !cmd.Flags().Changed("format") {
				format = formatJSON
			}
			domain, err := cua.Domain(args[0])
			if err != nil {
				return fmt.Errorf("%q is no domain name", args[0])
			}
			c, err := compileManifests(paths, compile.CapabilityState{}, time.Now())
			if err != nil {
				return err
			}
			c.mention(cmd.ErrOrStderr())
			gw, d := c.serving(domain)
			if d == nil {
				return failed(fmt.Errorf("no gateway in the manifests serves %s", domain))
			}
			return printRecords(cmd.OutOrStdout(), format, records.For(gw, d, records.Options{Port: port}))
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&paths, "manifests", nil, "`DIR` (or file) with manifests, repeated or separated by commas")
	f.StringVar(&format, "format", formatBIND, "bind, dnsmasq or json")
	f.Uint16Var(&port, "port", 0, "`PORT` where the gateway is reached (default 443)")
	_ = cmd.MarkFlagRequired("manifests")
	addOutputFlag(cmd, &output)
	return cmd
}

func printRecords(w io.Writer, format string, list []records.Record) error {
	var text string
	switch format {
	case formatBIND:
		text = records.BIND(list)
	case formatDnsmasq:
		text = records.Dnsmasq(list)
	case formatJSON:
		return printJSON(w, list)
	default:
		return fmt.Errorf("--format %q: want %s, %s or %s", format, formatBIND, formatDnsmasq, formatJSON)
	}
	_, err := io.WriteString(w, text)
	return err
}

// serving finds a domain in the snapshots; nil when no gateway that compiles serves it.
func (c *compiled) serving(domain string) (*snapshot.Gateway, *snapshot.Domain) {
	for _, id := range c.ids() {
		s := c.outputs[id].Snapshot
		if s == nil {
			continue
		}
		for i := range s.Domains {
			if s.Domains[i].Name == domain {
				return &s.Gateway, &s.Domains[i]
			}
		}
	}
	return nil, nil
}

// mention points to lint when what follows rests on manifests with errors.
func (c *compiled) mention(w io.Writer) {
	if n := c.errors(); n > 0 {
		fmt.Fprintf(w, "calfed: %s in the manifests (see calfed lint); what has one is left out\n", count(n, "error"))
	}
}
