package controllers

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
)

// place is a shard of a gateway.
type place struct {
	gateway types.NamespacedName
	shard   int
}

// view is what compiling the part at a place said of a policy or key.
type view struct {
	place
	uid        types.UID // of the object that was compiled
	generation int64
	findings   []compile.Finding
	covers     []coveredDomain // policies
	shadowed   []string
	users      []types.NamespacedName // keys
}

type coveredDomain struct {
	domain string
	source types.NamespacedName // its FederatedDomain
}

// views gathers what all parts of all gateways say of policies and keys. Safe for concurrent use.
type views struct {
	mu       sync.Mutex
	policies map[types.NamespacedName][]view  // of one or a few places each
	keys     map[types.NamespacedName][]view  // likewise
	in       map[place][]types.NamespacedName // policies and keys with a view
}

// replace puts what a part says in the place of what was said there before.
func (v *views) replace(gateway types.NamespacedName, shard int, p *part) {
	at := place{gateway, shard}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in == nil {
		v.policies, v.keys = map[types.NamespacedName][]view{}, map[types.NamespacedName][]view{}
		v.in = map[place][]types.NamespacedName{}
	}
	for _, name := range v.in[at] {
		for _, m := range []map[types.NamespacedName][]view{v.policies, v.keys} {
			if m[name] = slices.DeleteFunc(m[name], func(x view) bool { return x.place == at }); len(m[name]) == 0 {
				delete(m, name)
			}
		}
	}
	delete(v.in, at)
	sources := make(map[string]types.NamespacedName, len(p.domains))
	for _, d := range p.domains {
		if d.hash != "" {
			sources[d.domain] = d.name
		}
	}
	add := func(m map[types.NamespacedName][]view, name types.NamespacedName, x view) {
		m[name] = append(m[name], x)
		v.in[at] = append(v.in[at], name)
	}
	findings := byObject(p.compiled.Findings, v1alpha1.KindPeerPolicy)
	for _, policy := range p.policies {
		name := policy.NamespacedName
		x := view{place: at, uid: policy.uid, generation: policy.generation, findings: findings[name], shadowed: p.compiled.ShadowedBy[name.String()]}
		for _, domain := range p.compiled.Covers[name.String()] {
			x.covers = append(x.covers, coveredDomain{domain, sources[domain]})
		}
		add(v.policies, name, x)
	}
	findings = byObject(p.compiled.Findings, v1alpha1.KindDKIMKey)
	seen := make(map[types.NamespacedName]objectRef, len(p.seen))
	for _, key := range p.seen {
		seen[key.NamespacedName] = key
	}
	for _, name := range p.keys() {
		x := view{place: at, uid: seen[name].uid, generation: seen[name].generation, findings: findings[name]}
		for _, id := range p.compiled.KeyUsers[name.String()] {
			x.users = append(x.users, parseName(id))
		}
		add(v.keys, name, x)
	}
}

// keys are those that the part speaks of.
func (p *part) keys() []types.NamespacedName {
	names := map[types.NamespacedName]bool{}
	for id := range p.compiled.KeyUsers {
		names[parseName(id)] = true
	}
	for name := range byObject(p.compiled.Findings, v1alpha1.KindDKIMKey) {
		names[name] = true
	}
	for _, name := range p.used {
		names[name] = true
	}
	return slices.Collect(maps.Keys(names))
}

// known says whether any part speaks of the object.
func (v *views) known(kind string, name types.NamespacedName) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if kind == v1alpha1.KindPeerPolicy {
		return len(v.policies[name]) > 0
	}
	return len(v.keys[name]) > 0
}

// policy merges what is said of a policy; the names of the FederatedDomains it covers come with it. False: nothing is said.
func (v *views) policy(name types.NamespacedName) (board.Policy, []types.NamespacedName, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out board.Policy
	var covered []types.NamespacedName
	shadowed := true // when it is wherever it covers something
	out.UID, out.Generation = compiledObject(v.policies[name])
	for _, x := range v.policies[name] {
		out.Findings = append(out.Findings, x.findings...)
		out.ShadowedBy = append(out.ShadowedBy, x.shadowed...)
		shadowed = shadowed && (len(x.covers) == 0 || len(x.shadowed) > 0)
		for _, c := range x.covers {
			out.Domains, covered = append(out.Domains, c.domain), append(covered, c.source)
		}
	}
	out.Findings = compile.SortFindings(out.Findings)
	if !shadowed {
		out.ShadowedBy = nil
		out.Findings = slices.DeleteFunc(out.Findings, func(f compile.Finding) bool { return f.Reason == v1alpha1.ReasonShadowed })
	}
	slices.Sort(out.Domains)
	out.Domains = slices.Compact(out.Domains)
	slices.Sort(out.ShadowedBy)
	out.ShadowedBy = slices.Compact(out.ShadowedBy)
	return out, covered, len(v.policies[name]) > 0
}

// compiledObject is the object of which all views speak: until all parts have seen the newest, it is not that.
func compiledObject(views []view) (uid types.UID, generation int64) {
	for i, x := range views {
		switch {
		case i == 0:
			uid, generation = x.uid, x.generation
		case x.uid != uid:
			uid = ""
		}
		generation = min(generation, x.generation)
	}
	return uid, generation
}

// key merges what is said of a key.
func (v *views) key(name types.NamespacedName) (board.Key, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out board.Key
	out.UID, out.Generation = compiledObject(v.keys[name])
	for _, x := range v.keys[name] {
		out.Findings = append(out.Findings, x.findings...)
		out.Domains = append(out.Domains, x.users...)
	}
	out.Findings = compile.SortFindings(out.Findings)
	slices.SortFunc(out.Domains, compareNames)
	out.Domains = slices.Compact(out.Domains)
	return out, len(v.keys[name]) > 0
}

// postPolicy posts what all gateways say of a policy.
func (r *snapshots) postPolicy(name types.NamespacedName) {
	post, covered, ok := r.views.policy(name)
	if !ok {
		r.loose.tell(v1alpha1.KindPeerPolicy, name)
		return
	}
	post.Programmed = true
	for _, domain := range covered {
		d, known := r.board.Domains.Get(domain)
		post.Programmed = post.Programmed && known && d.Programmed
	}
	if was, ok := r.board.Policies.Get(name); !ok || !reflect.DeepEqual(was, post) {
		r.board.Policies.Post(name, post)
	}
}

func (r *snapshots) postKey(name types.NamespacedName) {
	post, ok := r.views.key(name)
	if !ok {
		r.loose.tell(v1alpha1.KindDKIMKey, name)
		return
	}
	if was, ok := r.board.Keys.Get(name); !ok || !reflect.DeepEqual(was, post) {
		r.board.Keys.Post(name, post)
	}
}
