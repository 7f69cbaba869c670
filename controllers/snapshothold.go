package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

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
	token   string   // what confirms that they may go
}

// hold says which domains wait, unless the token confirms that they may go.
func (st *gatewayState) hold(confirmed string) held {
	var gone []string
	served := 0
	for number := range snapshot.Shards {
		sh := st.stored.shards[number]
		if sh == nil {
			continue
		}
		served += len(sh.domains)
		if st.parts[number] != nil && st.parts[number].tooLarge {
			continue // stays as it is
		}
		wanted := map[string]bool{}
		if st.parts[number] != nil {
			for i := range st.parts[number].shard.Domains {
				wanted[st.parts[number].shard.Domains[i].Name] = true
			}
		}
		for name := range sh.domains {
			if !wanted[name] {
				gone = append(gone, name)
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
	return held{domains: gone, token: token}
}

// keeps says whether a shard is left as it is, for a domain in it that is held.
func (h held) keeps(number int) bool {
	return slices.ContainsFunc(h.domains, func(domain string) bool { return snapshot.ShardOf(domain) == number })
}
