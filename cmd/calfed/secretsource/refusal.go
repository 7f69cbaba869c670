package secretsource

import (
	"fmt"
	"slices"
)

// The reason codes.
const (
	indexUnreadable  = "index-unreadable"
	indexForeign     = "index-foreign"     // of another gateway
	indexStale       = "index-stale"       // older than what is served, and the Secret is the same
	shardMissing     = "shard-missing"     // the index names it
	shardUnreachable = "shard-unreachable" // the API server does not give it
	shardUnreadable  = "shard-unreadable"
	shardStale       = "shard-stale"    // older than the index says
	shardMismatch    = "shard-mismatch" // not what the index says
	snapshotInvalid  = "snapshot-invalid"
)

var reasons = []string{
	indexUnreadable, indexForeign, indexStale, shardMissing, shardUnreachable, shardUnreadable, shardStale, shardMismatch, snapshotInvalid,
}

// refusal is why a part of the newest snapshot is not served. Its error holds no secret.
type refusal struct {
	reason string
	secret string // the name
	serial uint64 // 0 = not known
	err    error
	// passing: the control plane may be about to write the rest. It becomes a refusal when it has been so for long.
	passing bool
	// again: reading once more may help.
	again bool
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.reason, r.err) }

func (r *refusal) same(other *refusal) bool {
	return r.secret == other.secret && r.serial == other.serial && r.Error() == other.Error()
}

// refuse makes what was refused of the newest index known, once; with nothing refused, that it is served.
func (s *Source) refuse(refused []refusal) {
	s.mu.Lock()
	before := s.rejected
	s.rejected = refused
	s.mu.Unlock()
	for i := range refused {
		r := &refused[i]
		if slices.ContainsFunc(before, func(b refusal) bool { return b.same(r) }) {
			s.log.Debug("a newer snapshot is still refused", "reason", r.reason, "secret", r.secret, "serial", r.serial)
			continue
		}
		s.metrics.refused.WithLabelValues(r.reason).Inc()
		s.log.Error("a newer snapshot is refused: what is served stays", "reason", r.reason, "secret", r.secret, "serial", r.serial, "error", r.err)
	}
	if len(refused) > 0 {
		s.cfg.Gateway.Stale(refused[0].secret + ": " + refused[0].Error())
	} else if len(before) > 0 {
		s.cfg.Gateway.Stale("")
	}
}
