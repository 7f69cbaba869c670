package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/snapshot"
)

// checkOptions are the flags of `check`.
type checkOptions struct {
	manifests []string
	selectors []string
	resolver  string
	ca        string
	networks  []string
	timeout   time.Duration
	output    string
}

func newCheckCommand() *cobra.Command {
	var opt checkOptions
	cmd := &cobra.Command{
		Use:   "check DOMAIN",
		Short: "Test from outside whether a domain can be scheduled with, and say what is wrong",
		Long: "Looks at a domain as another organisation's gateway would: SRV and TXT records, addresses,\n" +
			"certificate, redirects, capabilities, the keys by each way to look them up, and whether messages\n" +
			"without a signature are refused, by the gateway and by the calendar server behind it. It asks one\n" +
			"unsigned free/busy question about a user that does not exist, and changes nothing.\n\n" +
			"With --manifests a domain of your own is held against what should be published, and your gateway's\n" +
			"egress settings (resolver, authorities, address ranges) apply. Keys of others need --selector.\n\n" +
			"The first line is the verdict in one word: healthy, degraded (messages arrive, something should be\n" +
			"mended), broken, absent (no iSchedule service) or unknown (DNS does not answer, or the time is\n" +
			"over). Ends with 0 for the first two, else with 1.",
		Example: "  calfed check example.org\n" +
			"  calfed check example.org --manifests ./config -o markdown >> \"$GITHUB_STEP_SUMMARY\"\n" +
			"  calfed check peer.example --selector cal2026",
		Args: oneArgument("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(opt.output, outputMarkdown); err != nil {
				return err
			}
			domain, err := cua.Domain(args[0])
			if err != nil {
				return fmt.Errorf("%q is no domain name", args[0])
			}
			report, err := opt.check(cmd, domain)
			if err != nil {
				return err
			}
			good := report.Word == probe.Healthy || report.Word == probe.Degraded
			if opt.output == outputMarkdown {
				report.markdown(cmd.OutOrStdout())
				if !good {
					return failed(nil)
				}
				return nil
			}
			return conclude(cmd.OutOrStdout(), opt.output, report, good)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.manifests, "manifests", nil, "`DIR` (or file) with manifests, repeated or separated by commas")
	f.StringSliceVar(&opt.selectors, "selector", nil, "`SELECTOR` of a key to look up, repeated or separated by commas")
	f.StringVar(&opt.resolver, "resolver", "", "`ADDR` of the DNS resolver (host:port)")
	f.StringVar(&opt.ca, "ca", "", "PEM `FILE` of authorities to trust beside the system's")
	f.StringSliceVar(&opt.networks, "allow", nil, "`CIDR` that may be connected to beside public addresses, for tests inside a network")
	f.DurationVar(&opt.timeout, "timeout", 2*time.Minute, "how long the whole check may take")
	addOutputFlag(cmd, &opt.output, outputMarkdown)
	return cmd
}

func (o *checkOptions) check(cmd *cobra.Command, domain string) (*checkReport, error) {
	egress, options, target, err := o.target(cmd, domain)
	if err != nil {
		return nil, err
	}
	out, err := newNetwork(egress)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	p := probe.New(probe.Config{DNS: out.dns, Guard: out.guard, Roots: out.roots, Options: options, UserAgent: "calfed/" + version})
	return &checkReport{p.Probe(ctx, target)}, nil
}

// target is what to test, and by which settings.
func (o *checkOptions) target(cmd *cobra.Command, domain string) (egress snapshot.Egress, options snapshot.Discovery, target probe.Target, err error) {
	target.Domain = domain
	if len(o.manifests) > 0 {
		c, err := compileManifests(o.manifests, compile.CapabilityState{}, time.Now())
		if err != nil {
			return egress, options, target, err
		}
		c.mention(cmd.ErrOrStderr())
		gw, err := c.describe(&target)
		if err != nil {
			return egress, options, target, err
		}
		egress, options = gw.Egress, gw.Discovery
	}
	for _, s := range o.selectors {
		target.Keys = append(target.Keys, probe.Key{Domain: domain, Selector: s})
	}
	if o.resolver != "" {
		egress.Resolver = o.resolver
	}
	if o.ca != "" {
		pem, err := readBundle("--ca", o.ca)
		if err != nil {
			return egress, options, target, err
		}
		egress.CABundle = append(slices.Clip(egress.CABundle), pem...)
	}
	for _, text := range o.networks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return egress, options, target, fmt.Errorf("--allow %q: want a range such as 10.0.0.0/8", text)
		}
		egress.PeerCIDRs = append(slices.Clip(egress.PeerCIDRs), p)
	}
	return egress, options, target, nil
}

// describe adds to a target what the manifests say of it: all that should be published for a domain of their own, the
// policy's settings for somebody else's. It returns the gateway whose settings apply.
func (c *compiled) describe(target *probe.Target) (*snapshot.Gateway, error) {
	if out, d := c.serving(target.Domain); d != nil {
		gw := &out.Draft.Gateway
		target.Host = gw.Host
		for _, k := range d.Signing.Keys {
			if k.State == snapshot.KeyRevoked { // found as it should be, it would be told as what is wrong
				continue
			}
			methods := slices.DeleteFunc(slices.Clone(d.Signing.Lookup), func(m string) bool { return m == dkim.MethodPrivate })
			target.Keys = append(target.Keys, probe.Key{Domain: k.Domain, Selector: k.Selector, Record: k.Record, Methods: methods})
		}
		return gw, nil
	}
	for _, id := range c.ids() {
		out := c.outputs[id]
		if out.Snapshot == nil {
			continue
		}
		active, err := snapshot.Activate(out.Snapshot)
		if err != nil {
			return nil, err
		}
		for _, d := range out.Snapshot.Domains {
			verdict := policy.Outbound(active, policy.Question{Peer: target.Domain, Domain: d.Name, Component: "VEVENT", Method: "REQUEST"})
			if verdict.Policy != nil {
				target.Outbound = &verdict.Policy.Outbound
				break
			}
		}
		return &out.Snapshot.Gateway, nil
	}
	return nil, fmt.Errorf("no gateway in the manifests can be compiled, see calfed lint: %s", strings.Join(c.ids(), ", "))
}
