package secretsource

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calfed/calfed/gateway/snapshot"
)

// kept is the last good snapshot in a folder: its parts as they came, so that a change writes one shard. The shards have names of
// their own for each state, and the index goes last: a crash at any moment leaves the old snapshot or the new one, whole.
type kept struct{ dir string }

const (
	keptIndex = "last-good-index"
	keptShard = "last-good-shard-"
)

// keptState is the file with the index.
type keptState struct {
	UID    string              `json:"uid"`
	Index  []byte              `json:"index"`
	Shards []snapshot.ShardRef `json:"shards,omitempty"` // as served: some may be ahead of the index
}

func shardFile(ref snapshot.ShardRef) string {
	return fmt.Sprintf("%s%03d-%d-%s", keptShard, ref.Number, ref.Serial, ref.SHA256)
}

// load reads it; nil when there is none. One of another gateway is an error.
func (k *kept) load(gatewayName string) (*candidate, error) {
	b, err := os.ReadFile(filepath.Join(k.dir, keptIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var state keptState
	if err := json.Unmarshal(b, &state); err != nil {
		return nil, fmt.Errorf("%s: %w", keptIndex, err)
	}
	c := &candidate{uid: state.UID, raw: state.Index}
	if c.index, err = snapshot.DecodeIndex(c.raw); err != nil {
		return nil, fmt.Errorf("%s: %w", keptIndex, err)
	}
	if err := checkName(c.index, gatewayName); err != nil {
		return nil, fmt.Errorf("%s: %w", keptIndex, err)
	}
	for _, ref := range state.Shards {
		raw, err := os.ReadFile(filepath.Join(k.dir, shardFile(ref)))
		if err != nil {
			return nil, err
		}
		shard, err := snapshot.DecodeShard(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shardFile(ref), err)
		}
		c.parts = append(c.parts, &part{shard, raw})
	}
	return c, nil
}

// save stores what has changed, and removes what nothing names any more.
func (k *kept) save(c *candidate) error {
	state := keptState{UID: c.uid, Index: c.raw}
	named := map[string]bool{keptIndex: true}
	for _, p := range c.parts {
		state.Shards = append(state.Shards, p.Ref())
		name := shardFile(p.Ref())
		named[name] = true
		file := filepath.Join(k.dir, name)
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if p.raw == nil {
			return fmt.Errorf("%s was removed", name)
		}
		if err := snapshot.ReplaceFile(file, p.raw); err != nil {
			return err
		}
	}
	b, err := json.Marshal(&state)
	if err != nil {
		return err
	}
	if err := snapshot.ReplaceFile(filepath.Join(k.dir, keptIndex), b); err != nil {
		return err
	}
	for _, p := range c.parts {
		p.raw = nil
	}
	return k.clean(named)
}

func (k *kept) clean(named map[string]bool) error {
	files, err := os.ReadDir(k.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		ours := strings.HasPrefix(strings.TrimPrefix(f.Name(), "."), "last-good-") // also what a crash left half written
		if ours && !named[f.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(k.dir, f.Name())))
		}
	}
	return err
}
