// Package compile turns resources and Secrets into a snapshot: a pure function, the same in the operator, in
// standalone mode and in lint. It resolves references, fills in effective defaults, decides conflicts, and says of
// every object what it made of it.
//
// It reads no files, asks no API server and keeps no state: what must survive (the capability serial) comes in and goes
// out. It decides no message: that is gateway/policy. Equal objects give equal output, in whatever order they come.
//
// What is wrong stays local: an error in a gateway means no snapshot at all (the last good one stays), an error in a
// domain's back end leaves that domain out, an error in a key or submitter that key or submitter, and a
// policy with an error refuses its peers until it is mended, so that a mistake never opens what was closed.
package compile

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Input is everything that compiling looks at.
type Input struct {
	Gateway    *v1alpha1.FederationGateway
	Domains    []v1alpha1.FederatedDomain // those of other gateways and namespaces are passed over
	Keys       []v1alpha1.DKIMKey
	Policies   []v1alpha1.PeerPolicy
	Secrets    []corev1.Secret
	ConfigMaps []corev1.ConfigMap
	LeftOut    []Object        // exist, and could not be read: what refers to them does not call them missing
	Prior      CapabilityState // of the last compile; zero the first time
	Now        time.Time       // for the first capability serial, and to see what has expired
	// Namespaces are those of the objects, with their labels (allowedDomains.selector). One that is not in it has no labels.
	Namespaces []corev1.Namespace
	// TrustOwners takes every domain for proven, where proof is required: standalone mode, in which whoever writes the files is
	// the owner. Otherwise the condition OwnershipProven of the FederatedDomain counts.
	TrustOwners bool
}

// Object names an object of any kind.
type Object struct{ Kind, Namespace, Name string }

// Output is a snapshot and what there is to say about each object.
type Output struct {
	Snapshot     *snapshot.Snapshot // nil when the gateway itself cannot be compiled
	Draft        *snapshot.Snapshot // Snapshot or, when that is nil, what could be compiled: to tell about, never to be served
	Capabilities CapabilityState
	Findings     []Finding // sorted by object, then field
}

// Compile compiles one gateway.
func Compile(in Input) Output {
	if in.Gateway == nil {
		return Output{Capabilities: in.Prior}
	}
	c := &compiler{
		namespace: in.Gateway.Namespace,
		leftOut:   in.LeftOut,
		now:       in.Now,
		values:    indexValues(in.Secrets, in.ConfigMaps),
		report:    &report{},
		logins:    map[string]login{},
	}
	gw, ok := c.gateway(in.Gateway)
	c.smarthost = gw.Submission.Smarthost != nil
	c.capabilities = gw.Capabilities
	state := in.Prior
	if ok {
		state = nextState(gw.Capabilities, in.Prior, in.Now)
		gw.Capabilities.Serial = state.Serial
	}

	c.indexKeys(in.Keys)
	served := c.domains(in.Domains, in.Gateway.Name)
	c.warnOfNobody(c.report.at(gatewayMeta(in.Gateway), "spec"), &gw.Submission, served)
	policies := c.policies(in.Policies)
	c.shadowed(policies, domainNames(in.Domains, c.namespace))
	c.warnOfProfiles(policies, served)
	attach(served, policies)

	out := Output{Capabilities: state, Findings: c.report.sorted()}
	out.Draft = &snapshot.Snapshot{
		Format:   snapshot.FormatVersion,
		Gateway:  gw,
		Domains:  served,
		Policies: used(policies, served),
	}
	if ok {
		out.Snapshot = out.Draft
	}
	return out
}

// compiler is the state of one Compile.
type compiler struct {
	namespace    string
	leftOut      []Object
	now          time.Time
	values       values
	keys         map[string]*signingKey // by name, those of the namespace
	egress       snapshot.Egress
	capabilities capabilities
	smarthost    bool             // the gateway has one, right or wrong
	logins       map[string]login // by user name
	report       *report
}

// meta is what ordering and findings need of an object.
type meta struct {
	kind, namespace, name string
	created               time.Time
}

// older orders by age, then by namespace and name: who claims something first keeps it.
func older(a, b meta) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// missing says that a reference leads nowhere, and what to do.
func (c *compiler) missing(at spot, kind, name, cure string) {
	if slices.Contains(c.leftOut, Object{kind, c.namespace, name}) {
		at.error(v1alpha1.ReasonRefNotFound, "%s %q has an error of its own and is left out: mend that first", kind, name)
		return
	}
	at.error(v1alpha1.ReasonRefNotFound, "%s %q does not exist in namespace %q: %s", kind, name, c.namespace, cure)
}

// createOrCorrect is what to do about most references that lead nowhere.
const createOrCorrect = "create it, or correct the name"

func (m meta) id() string { return m.namespace + "/" + m.name }

// attach notes at every domain the policies that cover it.
func attach(domains []snapshot.Domain, policies []policy) {
	for i := range domains {
		for _, p := range policies {
			if p.compiled.Coverage(domains[i].Name) >= 0 {
				domains[i].Policies = append(domains[i].Policies, p.compiled.ID)
			}
		}
	}
}

// used returns the policies that cover a domain of the snapshot.
func used(policies []policy, domains []snapshot.Domain) []snapshot.Policy {
	var out []snapshot.Policy
	for _, p := range policies {
		if slices.ContainsFunc(domains, func(d snapshot.Domain) bool { return slices.Contains(d.Policies, p.compiled.ID) }) {
			out = append(out, p.compiled)
		}
	}
	return out
}
