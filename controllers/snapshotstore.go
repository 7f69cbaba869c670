package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The capability state lies in annotations of the index: it is kept with the write that makes it seen (IS-CAP-2).
const (
	annotationSerial = "calfed.dev/capabilities-serial"
	annotationDigest = "calfed.dev/capabilities-digest"
)

// stored is what the cluster holds of a snapshot.
type stored struct {
	index        *storedIndex // nil: there is none
	shards       map[int]*storedShard
	capabilities compile.CapabilityState
}

type storedIndex struct {
	uid, resourceVersion string
	bad                  bool // cannot be read: it is written anew
	index                snapshot.Index
}

type storedShard struct {
	resourceVersion string
	serial          uint64
	sha             string            // "" = cannot be read: it is written anew
	domains         map[string]string // hashes by name
	sources         map[string]string // FederatedDomains by name
}

// next is the serial of the next write: above all that were.
func (s *stored) next() uint64 {
	serial := uint64(0)
	if s.index != nil {
		serial = s.index.index.Serial
	}
	for _, sh := range s.shards {
		serial = max(serial, sh.serial)
	}
	return serial + 1
}

func (s *stored) serving(shard int) map[string]string {
	if sh := s.shards[shard]; sh != nil {
		return sh.sources
	}
	return nil
}

// ref is the state of a shard that pods are told of; false when they are told of none.
func (s *stored) ref(number int) (snapshot.ShardRef, bool) {
	if s.index != nil {
		for _, ref := range s.index.index.Shards {
			if ref.Number == number {
				return ref, true
			}
		}
	}
	return snapshot.ShardRef{}, false
}

// storedChunk of Secrets with shards, up to 1 MiB each, is read at a time.
const storedChunk = 16

// readStored reads the snapshot of a gateway from the API server.
func readStored(ctx context.Context, c client.Reader, gateway types.NamespacedName) (*stored, error) {
	s := &stored{shards: map[int]*storedShard{}}
	if err := s.readIndex(ctx, c, gateway); err != nil {
		return nil, err
	}
	numbers := make(map[string]int, snapshot.Shards)
	for number := range snapshot.Shards {
		numbers[snapshot.ShardName(gateway.Name, number)] = number
	}
	var page corev1.SecretList
	for {
		err := c.List(ctx, &page, client.InNamespace(gateway.Namespace), client.Limit(storedChunk), client.Continue(page.Continue),
			client.MatchingLabels{keylife.LabelOwned: ownedSnapshot, labelInstance: gateway.Name})
		if err != nil {
			return nil, fmt.Errorf("list the Secrets of the snapshot: %w", err)
		}
		for i := range page.Items {
			if number, ok := numbers[page.Items[i].Name]; ok {
				s.shards[number] = readShard(&page.Items[i], number)
			}
		}
		if page.Continue == "" {
			return s, nil
		}
	}
}

func (s *stored) readIndex(ctx context.Context, c client.Reader, gateway types.NamespacedName) error {
	var secret corev1.Secret
	err := c.Get(ctx, types.NamespacedName{Namespace: gateway.Namespace, Name: snapshot.IndexName(gateway.Name)}, &secret)
	if apierrors.IsNotFound(err) {
		s.index = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("get the index of the snapshot: %w", err)
	}
	s.index = &storedIndex{uid: string(secret.UID), resourceVersion: secret.ResourceVersion}
	if x, err := snapshot.DecodeIndex(secret.Data[snapshot.IndexKey]); err != nil {
		s.index.bad = true
	} else {
		s.index.index = *x
	}
	serial, err := strconv.ParseUint(secret.Annotations[annotationSerial], 10, 64)
	if err != nil {
		serial = 0 // somebody took it away
	}
	// never below what was seen outside
	serial = max(serial, s.index.index.Gateway.Capabilities.Serial)
	s.capabilities = compile.CapabilityState{Serial: serial, Digest: secret.Annotations[annotationDigest]}
	return nil
}

func readShard(secret *corev1.Secret, number int) *storedShard {
	out := &storedShard{}
	if sh, err := snapshot.DecodeShard(secret.Data[snapshot.ShardKey]); err == nil && sh.Number == number {
		out = storedOf(sh)
	}
	out.resourceVersion = secret.ResourceVersion
	return out
}

func storedOf(sh *snapshot.Shard) *storedShard {
	out := &storedShard{serial: sh.Serial, sha: sh.SHA256, domains: make(map[string]string, len(sh.Domains)), sources: make(map[string]string, len(sh.Domains))}
	policies := hashPolicies(sh.Policies)
	for i := range sh.Domains {
		d := &sh.Domains[i]
		out.domains[d.Name], out.sources[d.Name] = hashDomain(d, policies), d.Source
	}
	return out
}

// recheck reads again what somebody else may have written.
func (r *snapshots) recheck(ctx context.Context, st *gatewayState, names map[string]bool) error {
	for name := range names {
		number := -1
		known := ""
		if name == snapshot.IndexName(st.name.Name) {
			if st.stored.index != nil {
				known = st.stored.index.resourceVersion
			}
		} else {
			var ok bool
			if number, ok = shardNumber(st.name.Name, name); !ok {
				continue
			}
			if sh := st.stored.shards[number]; sh != nil {
				known = sh.resourceVersion
			}
		}
		key := types.NamespacedName{Namespace: st.name.Namespace, Name: name}
		seen := metadata(secretKind)
		err := r.cache.Get(ctx, key, seen, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if seen.ResourceVersion == known { // both are "" when it is not there and shall not be
			continue
		}
		if err := r.reread(ctx, st, key, number, known); err != nil {
			return err
		}
	}
	return nil
}

// reread reads one Secret of the snapshot; the index has the number -1.
func (r *snapshots) reread(ctx context.Context, st *gatewayState, key types.NamespacedName, number int, known string) error {
	if number < 0 {
		if err := st.stored.readIndex(ctx, r.client, st.name); err != nil {
			return err
		}
		st.foreign = st.foreign || st.stored.index == nil || st.stored.index.resourceVersion != known
		return nil
	}
	var secret corev1.Secret
	err := r.client.Get(ctx, key, &secret)
	switch {
	case apierrors.IsNotFound(err):
		delete(st.stored.shards, number)
		st.foreign = st.foreign || known != ""
		return nil
	case err != nil:
		return fmt.Errorf("get %s: %w", key, err)
	}
	if secret.ResourceVersion != known {
		sh := readShard(&secret, number)
		st.stored.shards[number], st.foreign = sh, true
		st.history.add(number, sh.sha, sh.domains)
	}
	return nil
}

func shardNumber(gateway, secret string) (int, bool) {
	number, err := strconv.Atoi(secret[max(0, len(secret)-3):])
	return number, err == nil && number >= 0 && number < snapshot.Shards && secret == snapshot.ShardName(gateway, number)
}

// equalIndex says whether two indexes are the same but for their serials.
func equalIndex(a, b snapshot.Index) bool {
	a.Serial, a.Format = b.Serial, b.Format
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && string(left) == string(right)
}
