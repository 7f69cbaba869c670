package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/gateway/snapshot"
)

// A removal of more than one in heldShare of the domains served, and of heldLeast at least, waits for a person.
const (
	heldShare = 5
	heldLeast = 5
)

// held are domains that are served on though the objects no longer say so.
type held struct {
	domains []string // sorted; nil = none
	shards  map[int]bool
	token   string // what confirms that they may go
}

// hold says which domains wait, unless the token confirms that they may go.
func (st *gatewayState) hold(confirmed string) held {
	var gone []string
	shards, served := map[int]bool{}, 0
	for number := range snapshot.Shards {
		sh, p := st.stored.shards[number], st.parts[number]
		if sh == nil {
			continue
		}
		served += len(sh.domains)
		if p != nil && p.tooLarge {
			continue // stays as it is
		}
		wanted := map[string]bool{}
		if p != nil {
			for i := range p.shard.Domains {
				wanted[p.shard.Domains[i].Name] = true
			}
		}
		for name := range sh.domains {
			if !wanted[name] && (p == nil || !p.excess[sh.sources[name]]) { // who takes the room of others is not kept
				gone, shards[number] = append(gone, name), true
			}
		}
	}
	if len(gone) < heldLeast || len(gone)*heldShare <= served {
		return held{}
	}
	slices.Sort(gone)
	sum := sha256.Sum256([]byte(strings.Join(gone, "\n")))
	token := hex.EncodeToString(sum[:8])
	if confirmed == token {
		st.confirmed = token
		return held{}
	}
	return held{gone, shards, token}
}

// keeps says whether domains of a shard are held.
func (h held) keeps(number int) bool { return h.shards[number] }

// keepHeld makes the shards with held domains: these as they are served, and the others as they are now. One that would not fit
// a Secret stays as it is.
func (w *snapshotWriter) keepHeld(ctx context.Context) error {
	if w.st.kept == nil {
		w.st.kept = map[int]string{}
	}
	for number := range snapshot.Shards {
		p, sh := w.st.parts[number], w.st.stored.shards[number]
		if !w.st.held.keeps(number) || p == nil || len(p.shard.Domains) == 0 || w.st.kept[number] == p.shard.SHA256+" "+sh.sha {
			continue
		}
		var secret corev1.Secret
		name := snapshot.ShardName(w.gw.Name, number)
		if err := w.client.Get(ctx, types.NamespacedName{Namespace: w.gw.Namespace, Name: name}, &secret); err != nil {
			return fmt.Errorf("get %s: %w", name, err)
		}
		old, err := snapshot.DecodeShard(secret.Data[snapshot.ShardKey])
		if err != nil {
			continue // somebody wrote it: we will be told
		}
		merged := &part{shard: withHeld(p.shard, old, w.st.held.domains)}
		if err := merged.encode(w.serial); err != nil {
			return err
		}
		w.st.kept[number] = p.shard.SHA256 + " " + sh.sha
		if !merged.tooLarge {
			w.merged[number] = merged
			w.st.kept[number] = p.shard.SHA256 + " " + merged.shard.SHA256
		}
	}
	return nil
}

// withHeld is a shard with domains (sorted names) that its older state has, too. They keep the policies that came with them: one that is
// another now has an ID of its own.
func withHeld(sh snapshot.Shard, old *snapshot.Shard, domains []string) snapshot.Shard {
	sh.Domains, sh.Policies = slices.Clone(sh.Domains), slices.Clone(sh.Policies)
	hashes := hashPolicies(sh.Policies)
	before := make(map[string]snapshot.Policy, len(old.Policies))
	for _, p := range old.Policies {
		before[p.ID] = p
	}
	for _, d := range old.Domains {
		if _, held := slices.BinarySearch(domains, d.Name); !held {
			continue
		}
		d.Policies = slices.Clone(d.Policies)
		for i, id := range d.Policies {
			p := before[id]
			p.ID, _, _ = strings.Cut(id, "@")
			hash := snapshot.HashPolicy(&p)
			if is, taken := hashes[p.ID]; taken && is != hash {
				p.ID += "@" + hash[:8]
			}
			if _, there := hashes[p.ID]; !there {
				hashes[p.ID] = hash
				sh.Policies = append(sh.Policies, p)
			}
			d.Policies[i] = p.ID
		}
		slices.Sort(d.Policies)
		sh.Domains = append(sh.Domains, d)
	}
	slices.SortFunc(sh.Domains, func(a, b snapshot.Domain) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(sh.Policies, func(a, b snapshot.Policy) int { return strings.Compare(a.ID, b.ID) })
	return sh
}
