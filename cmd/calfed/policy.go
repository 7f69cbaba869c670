package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/snapshot"
)

func newPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Questions about PeerPolicies",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyExplainCommand())
	return cmd
}

// explainOptions are the flags of `policy explain`.
type explainOptions struct {
	manifests         []string
	from, to          string
	component, method string
	output            string
}

func newPolicyExplainCommand() *cobra.Command {
	var opt explainOptions
	cmd := &cobra.Command{
		Use:   "explain --manifests DIR… --from ADDRESS --to ADDRESS",
		Short: "Say whether a message would pass, and which policy decides",
		Long: "Asks the policies of the manifests about one message. With --to in a domain served here it is an\n" +
			"inbound message (from one local domain to another, too), with --from alone an outbound one. Every\n" +
			"policy that covers the local domain is listed with what became of it.\n\n" +
			"Ends with 0 when the message is allowed, with 1 when it is refused.",
		Example: "  calfed policy explain --manifests ./config --from ann@sender.example --to bob@example.org",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := opt.explain(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return conclude(cmd.OutOrStdout(), opt.output, report, report.Allowed)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.manifests, "manifests", nil, "`DIR` (or file) with manifests, repeated or separated by commas")
	f.StringVar(&opt.from, "from", "", "`ADDRESS` or domain of the Originator")
	f.StringVar(&opt.to, "to", "", "`ADDRESS` or domain of the Recipient")
	f.StringVar(&opt.component, "component", "VEVENT", "`COMPONENT` of the message: VEVENT, VTODO, VFREEBUSY")
	f.StringVar(&opt.method, "method", "REQUEST", "iTIP `METHOD` of the message")
	for _, name := range []string{"manifests", "from", "to"} {
		_ = cmd.MarkFlagRequired(name)
	}
	addOutputFlag(cmd, &opt.output)
	return cmd
}

// explainReport is what `policy explain -o json` prints.
type explainReport struct {
	Direction string        `json:"direction"` // inbound, outbound
	Peer      string        `json:"peer"`
	Domain    string        `json:"domain"`
	Component string        `json:"component"`
	Method    string        `json:"method"`
	Gateway   string        `json:"gateway"`
	Allowed   bool          `json:"allowed"`
	Reason    string        `json:"reason"`
	Policy    string        `json:"policy,omitempty"`
	Why       string        `json:"why"`
	Steps     []explainStep `json:"considered"`
}

type explainStep struct {
	Policy  string `json:"policy"`
	Matched bool   `json:"matched"`
	Won     bool   `json:"won"`
	Why     string `json:"why"`
}

func (o *explainOptions) explain(warnings io.Writer) (*explainReport, error) {
	if err := checkOutput(o.output); err != nil {
		return nil, err
	}
	from, err := domainOf("--from", o.from)
	if err != nil {
		return nil, err
	}
	to, err := domainOf("--to", o.to)
	if err != nil {
		return nil, err
	}
	q := policy.Question{Component: strings.ToUpper(o.component), Method: strings.ToUpper(o.method)}
	if !slices.Contains(iTIPComponents, q.Component) {
		return nil, fmt.Errorf("--component %q: want one of %s", o.component, strings.Join(iTIPComponents, ", "))
	}
	if !slices.Contains(iTIPMethods, q.Method) {
		return nil, fmt.Errorf("--method %q: want one of %s", o.method, strings.Join(iTIPMethods, ", "))
	}
	c, err := compileManifests(o.manifests, compile.CapabilityState{}, time.Now())
	if err != nil {
		return nil, err
	}
	if name := c.leftOut(v1alpha1.KindPeerPolicy); name != "" {
		// it may be the one that refuses
		return nil, fmt.Errorf("PeerPolicy %s has an error (see calfed lint): nothing can be said without it", name)
	}
	c.mention(warnings)
	direction, peer, local := "inbound", from, to
	out, d := c.serving(local)
	if d == nil {
		direction, peer, local = "outbound", to, from
		out, d = c.serving(local)
	}
	if d == nil {
		return nil, c.unserved(to, from)
	}
	gw := &out.Draft.Gateway
	if out.Snapshot == nil {
		return nil, fmt.Errorf("FederationGateway %s has an error (see calfed lint): nothing is served as it is", gw.Name)
	}
	active, err := snapshot.Activate(out.Snapshot)
	if err != nil {
		return nil, err
	}
	q.Peer, q.Domain = peer, local
	decision := policy.Explain(active, q)
	switch {
	case direction == "outbound":
		steps := decision.Steps // the same policies are considered, only what they mean differs
		decision = policy.Outbound(active, q)
		decision.Steps, decision.Why = steps, "No policy denies it, and sending needs no more."
		if !decision.Allowed {
			decision.Why = decision.Policy.ID + " denies everything from and to " + peer + "."
		}
	case decision.Allowed && !gw.Capabilities.Allows(q.Component, q.Method):
		decision.Allowed, decision.Reason = false, reasonCapabilities
		decision.Why = fmt.Sprintf("The policies allow it, but the capabilities of %s do not take %s of %s.", gw.Name, q.Method, q.Component)
	}
	return newExplainReport(direction, gw.Name, q, decision), nil
}

// What may be asked about: all of RFC 5546, also what a gateway never takes.
var (
	iTIPComponents = []string{"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"}
	iTIPMethods    = []string{"PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}
)

// reasonCapabilities is the one reason that is not a policy's: the gateway takes no such message from anyone.
const reasonCapabilities = "gateway-capabilities"

// domainOf reads an address or a bare domain.
func domainOf(flag, text string) (string, error) {
	if !strings.ContainsAny(text, "@:") {
		if domain, err := cua.Domain(text); err == nil {
			return domain, nil
		}
	}
	address, err := cua.Parse(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if address.Domain() == "" {
		return "", fmt.Errorf("%s: the address has no domain", flag)
	}
	return address.Domain(), nil
}

func newExplainReport(direction, gateway string, q policy.Question, d policy.Decision) *explainReport {
	r := &explainReport{
		Direction: direction, Peer: q.Peer, Domain: q.Domain, Component: q.Component, Method: q.Method, Gateway: gateway,
		Allowed: d.Allowed, Reason: d.Reason, Why: d.Why, Steps: []explainStep{},
	}
	if d.Policy != nil {
		r.Policy = d.Policy.ID
	}
	for _, s := range d.Steps {
		r.Steps = append(r.Steps, explainStep(s))
	}
	return r
}

func (r *explainReport) print(w io.Writer) error {
	verdict := "refused"
	if r.Allowed {
		verdict = "allowed"
	}
	parties := "from " + r.Peer + " to " + r.Domain
	if r.Direction == "outbound" {
		parties = "from " + r.Domain + " to " + r.Peer
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s %s %s, %s\n%s\n", verdict, r.Reason, r.Component, r.Method, parties, r.Direction, r.Why)
	for _, s := range r.Steps {
		mark := "  "
		if s.Won {
			mark = "* "
		}
		fmt.Fprintf(&b, "%s%s: %s\n", mark, s.Policy, s.Why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
