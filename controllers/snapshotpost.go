package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// replace takes a newly compiled part in. What pods serve of it is known when its hash is the same.
func (r *snapshots) replace(st *gatewayState, number int, p *part) {
	before := map[types.NamespacedName]*domainState{}
	old := st.parts[number]
	if old != nil {
		for _, d := range old.domains {
			before[d.name] = d
		}
	}
	sh := st.stored.shards[number]
	ref, named := st.stored.ref(number)
	for _, d := range p.domains {
		if was := before[d.name]; was != nil && was.hash == d.hash && old != nil {
			d.programmed, d.blocking = was.programmed, was.blocking
		} else {
			// what a former operator saw counts while it is still what pods are told
			d.programmed = d.programmed && old == nil && sh != nil && named && ref.SHA256 == sh.sha && sh.domains[d.domain] == d.hash
		}
		delete(before, d.name)
	}
	st.parts[number] = p
	r.views.replace(st.name, number, p)
	for name := range before {
		st.dropped = append(st.dropped, name)
	}
	if old != nil {
		st.touch(old)
	}
	st.touch(p)
	if len(p.domains) == 0 && sh == nil {
		st.parts[number] = nil
	}
}

// touch notes keys and policies whose posts a part has a say in.
func (st *gatewayState) touch(p *part) {
	for _, name := range p.policies {
		st.touched[compile.Object{Kind: v1alpha1.KindPeerPolicy, Namespace: name.Namespace, Name: name.Name}] = true
	}
	for _, name := range p.keys() {
		st.touched[compile.Object{Kind: v1alpha1.KindDKIMKey, Namespace: name.Namespace, Name: name.Name}] = true
	}
}

// post posts what became of the gateway and all in it, where that is not what was posted before.
func (r *snapshots) post(ctx context.Context, st *gatewayState) {
	for number, p := range st.parts {
		if p != nil {
			r.postDomains(st, number, p)
		}
	}
	for _, name := range st.dropped {
		r.dropDomain(ctx, st, name)
	}
	st.dropped = nil
	for o := range st.touched {
		name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
		if o.Kind == v1alpha1.KindPeerPolicy {
			r.postPolicy(name)
		} else {
			r.postKey(name)
		}
	}
	clear(st.touched)
	if st.asked {
		r.postGateway(st)
	}
}

// postDomains also finds out which of them every pod serves.
func (r *snapshots) postDomains(st *gatewayState, number int, p *part) {
	sh := st.cluster().shards[number]
	for _, d := range p.domains {
		d.written = d.hash != "" && sh != nil && sh.domains[d.domain] == d.hash
		if st.pods.program(&st.history, number, d) {
			st.touch(p)
		}
		post := board.Domain{
			UID: d.uid, Generation: d.generation, Gateway: st.name, Settings: st.public, Compiled: d.compiled, Candidate: d.candidate, Hash: d.hash, Findings: d.findings,
			Written: d.written, Programmed: d.programmed, Blocking: d.blocking,
		}
		if was, ok := r.board.Domains.Get(d.name); !ok || !reflect.DeepEqual(was, post) {
			r.board.Domains.Post(d.name, post)
		}
	}
}

// dropDomain takes down what was said of a domain that left the gateway, unless its new gateway spoke already.
func (r *snapshots) dropDomain(ctx context.Context, st *gatewayState, name types.NamespacedName) {
	var d v1alpha1.FederatedDomain
	if r.cache.Get(ctx, name, &d) == nil && gatewayOf(&d) == st.name {
		return
	}
	if was, ok := r.board.Domains.Get(name); ok && was.Gateway == st.name {
		r.board.Domains.Remove(name)
	}
}

func (r *snapshots) postGateway(st *gatewayState) {
	post := board.Gateway{Generation: st.generation, Confirmed: st.confirmed, Findings: st.findings, Held: st.held.domains, HeldToken: st.held.token, Problem: st.problem, Pods: st.pods.posts()}
	if st.settings != nil && st.settings.OK {
		post.Settings = &st.settings.Settings
	}
	s := st.cluster()
	if s.index != nil {
		post.IndexUID, post.Serial = s.index.uid, s.index.index.Serial
		post.Hash = hashIndex(s.index.index)
	}
	for _, sh := range s.shards {
		post.Domains += len(sh.domains)
	}
	r.metrics.gateway(st.name, post)
	if was, ok := r.board.Gateways.Get(st.name); !ok || !reflect.DeepEqual(was, post) {
		r.board.Gateways.Post(st.name, post)
	}
}

// hashIndex is the hash of all that an index names, whatever its serials.
func hashIndex(x snapshot.Index) string {
	x.Serial, x.Format = 0, 0
	x.Shards = slices.Clone(x.Shards)
	for i := range x.Shards {
		x.Shards[i].Serial = 0
	}
	text, err := json.Marshal(x)
	if err != nil {
		return "" // it was encoded before
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// gone takes down what was said of a gateway that is no more, and says so to the domains that still name it.
func (r *snapshots) gone(ctx context.Context, st *gatewayState) error {
	st.work.Lock()
	defer st.work.Unlock()
	for number, p := range st.parts {
		if p == nil {
			continue
		}
		r.views.replace(st.name, number, &part{})
		st.touch(p)
		for _, d := range p.domains {
			st.dropped = append(st.dropped, d.name)
		}
	}
	r.board.Gateways.Remove(st.name)
	r.metrics.forget(st.name)
	r.askers.forget(st.name)
	r.backendAskers.forget(st.name)
	for _, name := range st.dropped {
		if was, ok := r.board.Domains.Get(name); ok && was.Gateway == st.name {
			r.board.Domains.Remove(name)
		}
	}
	for o := range st.touched {
		r.loose.tell(o.Kind, types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
	}
	r.forget(st.name)
	domains := r.domains(ctx, client.MatchingFields{fieldGateway: st.name.String()})
	findings := byObject(compile.Dangling(nil, compile.Input{Domains: domains}), v1alpha1.KindFederatedDomain)
	for i := range domains {
		name := client.ObjectKeyFromObject(&domains[i])
		post := board.Domain{UID: domains[i].UID, Generation: domains[i].Generation, Gateway: st.name, Findings: findings[name]}
		if was, ok := r.board.Domains.Get(name); !ok || !reflect.DeepEqual(was, post) {
			r.board.Domains.Post(name, post)
		}
	}
	return nil
}

// pod is what is told of a pod.
func (p *podSeen) post() board.Pod {
	return board.Pod{Name: p.name, Programmed: p.newest, Problem: p.problem}
}

func comparePods(a, b board.Pod) int { return cmp.Compare(a.Name, b.Name) }

func blocked(pod, why string) string { return fmt.Sprintf("%s: %s", pod, why) }
