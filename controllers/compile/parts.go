package compile

import (
	"github.com/calfed/calfed/gateway/snapshot"
)

// The operator compiles in parts, so that a change of one domain costs one shard: CompileGateway, then CompileDomains for
// each shard that something changed for. Compile is both, for everything at once.

// Shared is what the domains of a gateway share, compiled.
type Shared struct {
	Settings     snapshot.Gateway
	OK           bool // false: an error in the gateway; Settings are a draft to tell about, never to be served
	Capabilities CapabilityState
	Findings     []Finding // of the gateway, sorted

	compiler *compiler
}

// CompileGateway compiles what the domains of in.Gateway share. Of in it looks at the gateway, its namespace's Secrets and
// ConfigMaps, Prior, LeftOut and Now.
func CompileGateway(in Input) *Shared { panic("not written yet") }

// Part is some of a gateway's domains, compiled.
type Part struct {
	Domains    []snapshot.Domain          // sorted by name
	Policies   []snapshot.Policy          // those that cover one of them, sorted by ID
	Candidates map[string]snapshot.Domain // by namespace/name: what only the proof of ownership keeps out
	Findings   []Finding                  // of FederatedDomains, DKIMKeys and PeerPolicies, sorted
	ShadowedBy map[string][]string        // policies by namespace/name: those that decide first, for all that it matches
	Covers     map[string][]string        // policies by namespace/name: names of the domains of this part, sorted
	KeyUsers   map[string][]string        // DKIMKeys by namespace/name: FederatedDomains of this part, by namespace/name, sorted
}

// CompileDomains compiles domains of the gateway. in.Domains holds every FederatedDomain that claims one of their names, for
// whichever gateway; in.Keys, in.Policies, in.Secrets and in.ConfigMaps hold all of their namespaces (Secrets and ConfigMaps:
// those referred to, and the generated keys). Parts that do not share a name may be compiled at the same time.
func CompileDomains(sh *Shared, in Input) Part { panic("not written yet") }
