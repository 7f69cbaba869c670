// Package compile turns resources and Secrets into a snapshot: a pure function, the same in the operator, in
// standalone mode and in lint. It resolves references, fills in effective defaults, decides who may have a domain, and says of
// every object what it made of it.
//
// It reads no files, asks no API server and keeps no state: what must survive (the capability serial, who is served) comes in
// and goes out. It decides no message: that is gateway/policy. Equal objects give equal output, in whatever order they come, and
// whether they are compiled at once or in parts.
//
// What is wrong stays local: an error in a gateway means no snapshot at all (the last good one stays), an error in a
// domain's back end leaves that domain out, an error in a key or submitter that key or submitter, and a
// policy with an error refuses its peers until it is mended, so that a mistake never opens what was closed.
//
// # Who may have a domain
//
// Namespaces are strangers to each other: a tenant must not get at another's domain by any object that it makes. A
// FederatedDomain attaches to a gateway when one entry of spec.allowedDomains lets in its namespace, its name and its back ends. Where
// that entry asks for proof, the FederatedDomain claims its name only once its condition OwnershipProven is True because the TXT
// record for this gateway was seen (records.Challenge, status.ownership), and is a candidate until then.
//
// A claim is strong when ownership is proven by DNS, or when the FederatedDomain lies in the namespace of its gateway, which asks for
// no proof: who runs a gateway decides what it serves. A claim of another namespace that needs no proof is weak. Of several claims to
// one name at a gateway
//
//  1. in one namespace the oldest counts, whichever gateway it is for: DNS leads to one of them;
//  2. of different namespaces a strong one goes before a weak one,
//  3. then the one that is served now (Input.Serving), so that nobody's old object becomes a claim and takes a domain away,
//  4. then the oldest, then the name.
//
// One that is being deleted comes after all others: nobody looks at its proof any more. Claims of other namespaces at other gateways
// count only when proven by DNS: what another gateway is content with binds nobody here.
// So a domain that is served changes hands without its owner's doing only to a namespace that proves its ownership by DNS, and
// only when nobody asked the owner for proof; where it was proven, only after the owner took the record away.
//
// A key that signs for a domain's parent would let its namespace sign for all names below that: outside of the gateway's
// namespace the domain of a DKIMKey must be the FederatedDomain's own. Endpoints of policies of other namespaces are bounded by
// backendHosts as back ends are. What a finding says to one namespace names no object and no domain of another.
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
	Domains    []v1alpha1.FederatedDomain // for other gateways, they count where they claim the same name
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
	// Serving says for which FederatedDomain (namespace/name) a domain is in the newest snapshot of the gateway: it keeps the
	// name before those that have no better right to it. Domains that are not in it are served for nobody yet.
	Serving map[string]string
	// Excess are FederatedDomains (namespace/name) that there is no room for: they are left out, and keep their names.
	Excess map[string]bool
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

// Compile compiles one gateway with all its domains.
func Compile(in Input) Output {
	if in.Gateway == nil {
		return Output{Capabilities: in.Prior}
	}
	values := indexValues(&in, "")
	sh := compileGateway(in, values)
	home := in.Gateway.Namespace
	c := newCompiler(sh, &in, values)
	part := c.compile(&in, home)
	c.shadowed(in.Domains)
	c.warnOfNobody(c.report.at(gatewayMeta(in.Gateway), "spec"), &sh.Settings.Submission, part.Domains)

	out := Output{Capabilities: sh.Capabilities, Findings: SortFindings(slices.Concat(sh.Findings, c.report.findings))}
	out.Draft = &snapshot.Snapshot{
		Format:   snapshot.FormatVersion,
		Gateway:  sh.Settings,
		Domains:  part.Domains,
		Policies: part.Policies,
	}
	if sh.OK {
		out.Snapshot = out.Draft
	}
	return out
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

func (m meta) id() string { return m.namespace + "/" + m.name }
