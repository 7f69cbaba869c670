package secretsource

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/gateway/snapshot"
)

// atOnce bounds the shards that are fetched and read at once.
const atOnce = 8

// patience is how long the control plane may take from an index to what it names, after which a part that is not there counts as
// refused.
const patience = 10 * time.Second

// work takes over one index after the other until ctx ends. An index that was overtaken meanwhile is left out.
func (s *Source) work(ctx context.Context) {
	pause := pauses()
	var since time.Time // of the first attempt that failed after one that did not
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.arrived:
			pause = pauses()
		case <-again:
		}
		s.mu.Lock()
		index := s.newest
		s.mu.Unlock()
		refused := s.take(ctx, index)
		if ctx.Err() != nil {
			return // what failed then failed because of that
		}
		switch {
		case len(refused) == 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		again = nil
		if slices.ContainsFunc(refused, func(r refusal) bool { return r.again }) {
			again = time.After(pause.Step())
		}
		final := slices.DeleteFunc(slices.Clone(refused), func(r refusal) bool { return r.passing && time.Since(since) < s.patience })
		if len(refused) == 0 || len(final) > 0 {
			s.refuse(final)
		} else {
			s.log.Debug("waiting for the rest of a snapshot", "secret", refused[0].secret, "reason", refused[0].reason)
		}
	}
}

// take has the gateway serve an index. It returns why not; nothing when it is served, or was already.
func (s *Source) take(ctx context.Context, index *corev1.Secret) []refusal {
	c := &candidate{uid: string(index.UID), raw: index.Data[snapshot.IndexKey]}
	refusedFor := func(reason string, serial uint64, err error) []refusal {
		return []refusal{{reason: reason, secret: index.Name, serial: serial, err: err}}
	}
	var err error
	if c.index, err = snapshot.DecodeIndex(c.raw); err != nil {
		return refusedFor(indexUnreadable, 0, err)
	}
	serial := c.index.Serial
	if err := checkName(c.index, s.gatewayName()); err != nil {
		return refusedFor(indexForeign, serial, err)
	}
	s.mu.Lock()
	now := s.served
	s.mu.Unlock()
	if c.uid == now.uid && serial <= now.serial {
		switch {
		case serial < now.serial:
			return refusedFor(indexStale, serial, fmt.Errorf("serial %d is served; where a backup was restored, this Secret is to be deleted while the operator is stopped", now.serial))
		case sha256.Sum256(c.raw) != now.index:
			return refusedFor(indexStale, serial, errors.New("another content of this serial is served"))
		}
		return nil
	}
	refused := s.fetch(ctx, c)
	if len(refused) > 0 {
		return refused
	}
	if err := s.apply(c); err != nil {
		refused := refusedFor(snapshotInvalid, serial, err)
		// shards that are ahead of their index need not go with the others
		refused[0].passing = c.ahead()
		refused[0].again = refused[0].passing
		return refused
	}
	s.log.Info("serving a new snapshot", "serial", serial)
	if err := s.kept.save(c); err != nil {
		s.log.Error("the snapshot cannot be kept for the next start", "reason", "last-good", "error", err)
	}
	return nil
}

// ahead says whether a shard is not the one that the index names, but a newer one.
func (c *candidate) ahead() bool {
	for i, ref := range c.index.Shards {
		if c.parts[i].Ref() != ref {
			return true
		}
	}
	return false
}

// fetch gets the shards of an index: those that are known already, and the others from the API server.
func (s *Source) fetch(ctx context.Context, c *candidate) []refusal {
	c.parts = make([]*part, len(c.index.Shards))
	failed := make([]*refusal, len(c.index.Shards))
	var fetching errgroup.Group
	fetching.SetLimit(atOnce)
	var mu sync.Mutex // of s.parts
	for i, ref := range c.index.Shards {
		mu.Lock()
		known := s.parts[ref.Number]
		mu.Unlock()
		if known != nil && known.Ref() == ref {
			c.parts[i] = known
			continue
		}
		fetching.Go(func() error {
			if c.parts[i], failed[i] = s.shard(ctx, ref); failed[i] == nil {
				mu.Lock()
				s.parts[ref.Number] = c.parts[i]
				mu.Unlock()
			}
			return nil
		})
	}
	_ = fetching.Wait()
	var refused []refusal
	for _, r := range failed {
		if r != nil {
			refused = append(refused, *r)
		}
	}
	return refused
}

// shard gets one shard that serves an index with the reference.
func (s *Source) shard(ctx context.Context, ref snapshot.ShardRef) (*part, *refusal) {
	r := &refusal{secret: snapshot.ShardName(s.cfg.Name, ref.Number), serial: ref.Serial, again: true}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret, err := s.secrets.Get(ctx, r.secret, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		r.reason, r.err, r.passing = shardMissing, errors.New("the index names it, and it is not there"), true
		return nil, r
	case err != nil:
		r.reason, r.err, r.passing = shardUnreachable, err, true
		return nil, r
	}
	raw := secret.Data[snapshot.ShardKey]
	read, err := snapshot.DecodeShard(raw)
	if err != nil {
		r.reason, r.err = shardUnreadable, err
		return nil, r
	}
	if err := ref.Accepts(read.Ref()); err != nil {
		r.reason, r.err, r.serial = shardMismatch, err, read.Serial
		if read.Number == ref.Number && read.Serial < ref.Serial {
			r.reason, r.passing = shardStale, true
		}
		return nil, r
	}
	return &part{read, raw}, nil
}
