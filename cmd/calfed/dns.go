package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
		Long: "Prints the records by which other organisations find the gateway of a domain and the keys that\n" +
			"sign for it: SRV and, for keys looked up by dns/txt, TXT; for a domain whose records are published\n" +
			"below another zone also the CNAME records that its owner sets. As lines of a BIND zone, of\n" +
			"dnsmasq.conf, or as JSON.",
		Example: "  calfed dns example.org --manifests ./config >> db.example.org",
		Args:    oneArgument("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if output == outputJSON {
				if cmd.Flags().Changed("format") && format != formatJSON {
					return fmt.Errorf("-o json and --format %s exclude each other", format)
				}
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
			out, d := c.serving(domain)
			if d == nil {
				return failed(c.unserved(domain))
			}
			gw := &out.Draft.Gateway
			if gw.Host == "" {
				return failed(fmt.Errorf("spec.host of FederationGateway %s is no host name", gw.Name))
			}
			if err := printRecords(cmd.OutOrStdout(), format, d.Name, c.records(gw, d, port)); err != nil {
				return err
			}
			if missing := c.unusableKeys(d); len(missing) > 0 {
				return failed(fmt.Errorf("not all records: DKIMKey %s cannot be used, see calfed lint", strings.Join(missing, ", ")))
			}
			return nil
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

func printRecords(w io.Writer, format, domain string, set records.Set) error {
	write, comment := records.BIND, ";"
	switch format {
	case formatBIND:
	case formatDnsmasq:
		write, comment = records.Dnsmasq, "#"
	case formatJSON:
		return printJSON(w, set.All())
	default:
		return fmt.Errorf("--format %q: want %s, %s or %s", format, formatBIND, formatDnsmasq, formatJSON)
	}
	text := write(set.Records)
	if len(set.CNAMEs) > 0 {
		text = comment + " set once, by the owner of " + domain + "\n" + write(set.CNAMEs) + comment + " published by spec.publish\n" + text
	}
	_, err := io.WriteString(w, text)
	return err
}

// records are all that a domain needs, by its resource.
func (c *compiled) records(gw *snapshot.Gateway, d *snapshot.Domain, port uint16) records.Set {
	var opt records.Options
	for i := range c.set.Domains {
		if object := &c.set.Domains[i]; object.Namespace+"/"+object.Name == d.Source {
			opt = records.OptionsOf(object, c.set.Keys)
		}
	}
	opt.Port = port
	return records.For(gw, d, opt)
}

// serving finds the gateway that answers for a domain, by the drafts: the records of a domain are needed before
// there is a certificate for its gateway. The domain is nil when there is none.
func (c *compiled) serving(domain string) (compile.Output, *snapshot.Domain) {
	for _, id := range c.ids() {
		out := c.outputs[id]
		for i := range out.Draft.Domains {
			if out.Draft.Domains[i].Name == domain {
				return out, &out.Draft.Domains[i]
			}
		}
	}
	return compile.Output{}, nil
}

// unserved says that no gateway answers for any of the domains.
func (c *compiled) unserved(domains ...string) error {
	message := "no gateway in the manifests serves " + strings.Join(domains, " or ")
	if len(c.outputs) == 0 {
		return fmt.Errorf("%s: %w", message, errNoGateway)
	}
	return errors.New(message)
}

// unusableKeys are the DKIMKeys that a domain signs with by its resource, and cannot.
func (c *compiled) unusableKeys(d *snapshot.Domain) []string {
	var out []string
	for _, object := range c.set.Domains {
		if object.Namespace+"/"+object.Name != d.Source || object.Spec.Signing == nil {
			continue
		}
		for _, ref := range object.Spec.Signing.Keys {
			id := object.Namespace + "/" + ref.Name
			if !slices.ContainsFunc(d.Signing.Keys, func(k snapshot.Key) bool { return k.Source == id }) {
				out = append(out, id)
			}
		}
	}
	return out
}

// mention points to lint when what follows rests on manifests with errors.
func (c *compiled) mention(w io.Writer) {
	if n := c.errors(); n > 0 {
		fmt.Fprintf(w, "calfed: %s in the manifests (see calfed lint); what has one is left out\n", count(n, "error"))
	}
}
