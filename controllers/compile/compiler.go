package compile

import (
	"slices"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// common is what compilers of one gateway share; it stays as CompileGateway left it.
type common struct {
	gateway      meta
	host         string
	leftOut      []Object
	now          time.Time
	trustOwners  bool
	egress       snapshot.Egress
	capabilities capabilities
	smarthost    bool // the gateway has one, right or wrong
	allowed      []allowance
}

// compiler compiles what one namespace holds.
type compiler struct {
	*common
	namespace string
	values    values
	labels    map[string]map[string]string // of namespaces
	keys      map[string]*signingKey       // by name, those of the namespace
	policies  *policyIndex                 // those of the namespace
	spaces    map[string]*compiler         // by namespace, shared by all
	report    *report

	certificates int // octets of them that the namespace's objects name, so far
}

// newCompiler makes the compiler for a part of the gateway's domains: that of the gateway's namespace. Others come from it.
func newCompiler(sh *Shared, in *Input, values values) *compiler {
	c := &compiler{
		common:    sh.common,
		namespace: sh.common.gateway.namespace,
		values:    values,
		labels:    map[string]map[string]string{},
		spaces:    map[string]*compiler{},
		report:    &report{},
	}
	for i := range in.Namespaces {
		c.labels[in.Namespaces[i].Name] = in.Namespaces[i].Labels
	}
	return c
}

// open makes the compilers of namespaces, with their keys and policies.
func (c *compiler) open(in *Input, namespaces map[string]bool) {
	keys := map[string][]*v1alpha1.DKIMKey{}
	for i := range in.Keys {
		if k := &in.Keys[i]; namespaces[k.Namespace] {
			keys[k.Namespace] = append(keys[k.Namespace], k)
		}
	}
	policies := map[string][]*v1alpha1.PeerPolicy{}
	for i := range in.Policies {
		if p := &in.Policies[i]; namespaces[p.Namespace] {
			policies[p.Namespace] = append(policies[p.Namespace], p)
		}
	}
	for namespace := range namespaces {
		space := *c
		space.namespace = namespace
		space.indexKeys(keys[namespace])
		space.policies = space.compilePolicies(policies[namespace])
		c.spaces[namespace] = &space
	}
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
