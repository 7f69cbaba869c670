package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// gatewayState is what is known of one gateway between two reconciles.
type gatewayState struct {
	name  types.NamespacedName
	marks marks

	work       sync.Mutex // guards all that follows
	uid        types.UID  // of the FederationGateway
	generation int64      // of it, when it was compiled
	confirmed  string     // the token that let domains go last

	settings     *compile.Shared
	spec         *v1alpha1.FederationGatewaySpec // as far as domains are compiled against it
	public       *snapshot.Gateway               // of the settings, for posts: without the certificate's key
	findings     []compile.Finding               // of the gateway, those of the operator included
	parts        [snapshot.Shards]*part
	capabilities compile.CapabilityState // of the settings
	problem      string                  // why not all is written, "" = it is

	stored  *stored // nil: not read yet
	foreign bool    // somebody else wrote: are we still to?
	history history // of what pods may serve
	held    held
	kept    map[int]string // shards with domains on hold: what they were made of last

	pods  podSet
	asked bool // all pods were, once

	dropped []types.NamespacedName  // domains to take down from the board
	touched map[compile.Object]bool // keys and policies to post anew
}

func newGatewayState(name types.NamespacedName) *gatewayState {
	return &gatewayState{name: name, touched: map[compile.Object]bool{}}
}

// restart forgets all but what pods said: the gateway is another one of the same name.
func (st *gatewayState) restart(uid types.UID) {
	st.uid, st.settings, st.spec, st.public, st.findings, st.problem = uid, nil, nil, nil, nil, ""
	st.parts = [snapshot.Shards]*part{}
	st.stored, st.foreign, st.held = nil, false, held{}
}

// prior is the newest capability state there is: the index may have been lost, or another operator may have led.
func (st *gatewayState) prior() compile.CapabilityState {
	if st.stored.capabilities.Serial > st.capabilities.Serial {
		return st.stored.capabilities
	}
	return st.capabilities
}

// adopt takes over what was read of the cluster.
func (st *gatewayState) adopt(s *stored) {
	st.stored = s
	for number, sh := range s.shards {
		st.history.add(number, sh.sha, sh.domains)
	}
}

// cluster is what is known of the cluster: nothing, before it was read.
func (st *gatewayState) cluster() *stored {
	if st.stored == nil {
		return &stored{}
	}
	return st.stored
}

// part is what became of the domains of one shard.
type part struct {
	compiled compile.Part
	shard    snapshot.Shard // to write; no domains: there shall be none
	tooLarge bool
	excess   map[string]bool        // FederatedDomains, by namespace/name, that it has no room for
	encoded  []byte                 // nil: encode again
	policies []objectRef            // that were compiled for it
	seen     []objectRef            // keys that were compiled for it
	used     []types.NamespacedName // keys that its domains name
	domains  []*domainState
}

// objectRef is a policy or key as it was compiled.
type objectRef struct {
	types.NamespacedName
	uid        types.UID
	generation int64
}

// domainState is what became of one FederatedDomain.
type domainState struct {
	name       types.NamespacedName
	domain     string
	uid        types.UID
	generation int64
	compiled   *snapshot.Domain
	hash       string // "" = left out
	findings   []compile.Finding

	candidate  *snapshot.Domain
	written    bool
	programmed bool // stays, as long as the hash does: pods never go back
	blocking   []string
}

// history has, by shard and hash of it, the hashes of its domains by name: what a pod that serves that shard serves.
type history [snapshot.Shards]map[string]map[string]string

// historyStates are kept of a shard at most, beside those that pods serve.
const historyStates = 16

func (h *history) add(shard int, sha string, domains map[string]string) {
	if h[shard] == nil {
		h[shard] = map[string]map[string]string{}
	}
	h[shard][sha] = domains
}

// prune drops states that no pod serves, when there are many.
func (h *history) prune(shard int, serves func(sha string) bool) {
	if len(h[shard]) <= historyStates {
		return
	}
	for sha := range h[shard] {
		if !serves(sha) {
			delete(h[shard], sha)
		}
	}
}
