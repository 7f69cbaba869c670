package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/manifests"
)

// compiled is what folders of manifests come to: every gateway compiled, and all that is wrong.
type compiled struct {
	set      *manifests.Set
	outputs  map[string]compile.Output // by namespace/name of the gateway
	problems []manifests.Problem       // of the files and of what they say, by file and line
}

// compileManifests reads the folders (or files) and compiles every gateway in them. The error is for what cannot be
// read; what is wrong inside is in problems. prior is the capability state of the last run; it is the same for
// all gateways, so keep it for one.
func compileManifests(paths []string, prior compile.CapabilityState, now time.Time) (*compiled, error) {
	set, problems, err := manifests.Load(paths...)
	if err != nil {
		return nil, err
	}
	c := &compiled{set: set, outputs: map[string]compile.Output{}, problems: problems}
	in := compile.Input{
		Domains: set.Domains, Keys: set.Keys, Policies: set.Policies,
		Secrets: set.Secrets, ConfigMaps: set.ConfigMaps, Namespaces: set.Namespaces,
		Prior: prior, Now: now, TrustOwners: true,
	}
	for _, o := range set.LeftOut {
		in.LeftOut = append(in.LeftOut, compile.Object(o))
	}
	findings := compile.Dangling(set.Gateways, in)
	for i := range set.Gateways {
		in.Gateway = &set.Gateways[i]
		out := compile.Compile(in)
		c.outputs[in.Gateway.Namespace+"/"+in.Gateway.Name] = out
		findings = append(findings, out.Findings...)
	}
	for _, f := range compile.SortFindings(findings) {
		c.problems = append(c.problems, c.place(f))
	}
	slices.SortStableFunc(c.problems, func(a, b manifests.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return c, nil
}

// place turns a finding into a problem with the file and line where the field is written.
func (c *compiled) place(f compile.Finding) manifests.Problem {
	file, line := c.set.Position(f.Kind, f.Namespace, f.Name, f.Field)
	return manifests.Problem{
		Severity: strings.ToLower(string(f.Severity)),
		File:     file,
		Line:     line,
		Object:   f.Kind + " " + f.Namespace + "/" + f.Name,
		Field:    f.Field,
		Message:  f.Message,
	}
}

// errors says how many problems are errors.
func (c *compiled) errors() int {
	n := 0
	for _, p := range c.problems {
		if p.Severity == manifests.SeverityError {
			n++
		}
	}
	return n
}

// leftOut names an object of the kind that has an error and is not in the set; "" when there is none.
func (c *compiled) leftOut(kind string) string {
	for _, o := range c.set.LeftOut {
		if o.Kind == kind {
			return o.Namespace + "/" + o.Name
		}
	}
	return ""
}

// ids are the names of the gateways, sorted.
func (c *compiled) ids() []string { return slices.Sorted(maps.Keys(c.outputs)) }

var errNoGateway = errors.New("no FederationGateway in the manifests")

// named says whether a name that a person gave ("edge", "default/edge", or none for any) means the gateway with that id.
func named(id, name string) bool {
	_, short, _ := strings.Cut(id, "/")
	return name == "" || name == id || name == short
}

// gateway returns the output for the gateway of that name ("edge" or "default/edge"); "" means the only one there is.
// Its Snapshot is nil when that gateway could not be compiled.
func (c *compiled) gateway(name string) (compile.Output, error) {
	ids := slices.DeleteFunc(c.ids(), func(id string) bool { return !named(id, name) })
	switch {
	case len(ids) == 1:
		return c.outputs[ids[0]], nil
	case len(ids) > 1:
		return compile.Output{}, fmt.Errorf("several FederationGateways, choose one with --gateway: %s", strings.Join(ids, ", "))
	case name != "" && len(c.outputs) > 0:
		return compile.Output{}, fmt.Errorf("no FederationGateway %q in the manifests, there is %s", name, strings.Join(c.ids(), ", "))
	default:
		return compile.Output{}, errNoGateway
	}
}
