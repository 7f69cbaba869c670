package snapshot_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/snapshot"
)

// parts are shards with a domain each, all under one policy, and their index.
func parts(t *testing.T, names ...string) (*snapshot.Index, []*snapshot.Shard) {
	t.Helper()
	x := &snapshot.Index{Format: snapshot.FormatVersion, Serial: 7, Gateway: valid(t).Gateway}
	var shards []*snapshot.Shard
	for _, name := range names {
		shards = append(shards, shardWith(t, name, 7, 1))
	}
	slices.SortFunc(shards, func(a, b *snapshot.Shard) int { return a.Number - b.Number })
	for _, s := range shards {
		x.Shards = append(x.Shards, s.Ref())
	}
	return x, shards
}

func shardWith(t *testing.T, name string, serial uint64, rate float64) *snapshot.Shard {
	t.Helper()
	s := &snapshot.Shard{
		Format: snapshot.FormatVersion, Number: snapshot.ShardOf(name), Serial: serial,
		Domains: []snapshot.Domain{{Name: name, Backend: snapshot.Backend{Type: snapshot.BackendMemory}, Policies: []string{"p"}}},
		Policies: []snapshot.Policy{
			{ID: "p", Peers: []string{"*"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{Rate: rate}},
		},
	}
	if _, err := snapshot.EncodeShard(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// A policy of hundreds of shards takes the memory of one.
func TestAssembleSharesPolicies(t *testing.T) {
	x, shards := parts(t, "b.example", "a.example", "c.example")
	if _, err := snapshot.Assemble(x, shards); err != nil {
		t.Fatal(err)
	}
	for _, s := range shards[1:] {
		if &s.Policies[0].Peers[0] != &shards[0].Policies[0].Peers[0] {
			t.Errorf("shard %d has a copy of its own", s.Number)
		}
	}
}

// The parts of a snapshot are that snapshot again, whatever the order in which they come.
func TestAssemble(t *testing.T) {
	x, shards := parts(t, "b.example", "a.example", "c.example")
	slices.Reverse(shards)
	s, err := snapshot.Assemble(x, shards)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range s.Domains {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"a.example", "b.example", "c.example"}, names); diff != "" {
		t.Error(diff)
	}
	if len(s.Policies) != 1 || s.Policies[0].ID != "p" || s.Gateway.Name != x.Gateway.Name {
		t.Errorf("%+v", s.Policies)
	}
	activate(t, s)

	empty, err := snapshot.Assemble(&snapshot.Index{Format: 1, Gateway: x.Gateway}, nil)
	if err != nil || empty.Domains != nil {
		t.Errorf("no shards: %+v, %v", empty, err)
	}
	activate(t, empty)
}

func TestAssembleNamesThePart(t *testing.T) {
	x, shards := parts(t, "a.example", "b.example")
	a, b := shards[0], shards[1]
	for name, tc := range map[string]struct {
		shards []*snapshot.Shard
		want   string
	}{
		"missing":       {[]*snapshot.Shard{a}, "missing"},
		"twice":         {[]*snapshot.Shard{a, b, b}, "came twice"},
		"not named":     {[]*snapshot.Shard{a, b, shardWith(t, "c.example", 7, 1)}, "names no shard"},
		"stale":         {[]*snapshot.Shard{a, shardWith(t, b.Domains[0].Name, 6, 1)}, "is stale"},
		"another hash":  {[]*snapshot.Shard{a, shardWith(t, b.Domains[0].Name, 7, 2)}, "another hash"},
		"a domain of a": {[]*snapshot.Shard{a, {Number: b.Number, Serial: 8, Domains: a.Domains}}, `domain "` + a.Domains[0].Name + `" is in shards`},
	} {
		_, err := snapshot.Assemble(x, tc.shards)
		if !errors.Is(err, snapshot.ErrParts) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Ref().Accepts(snapshot.ShardRef{Number: b.Number, Serial: 99, SHA256: b.SHA256}); !errors.Is(err, snapshot.ErrParts) {
		t.Errorf("one shard for another: %v", err)
	}
}

// A shard that is ahead of the index is taken, and each domain keeps the policies that came with it.
func TestAssembleWhileAChangeIsOnItsWay(t *testing.T) {
	x, shards := parts(t, "a.example", "b.example")
	ahead := shardWith(t, shards[1].Domains[0].Name, 8, 2)
	s, err := snapshot.Assemble(x, []*snapshot.Shard{shards[0], ahead})
	if err != nil {
		t.Fatal(err)
	}
	active := activate(t, s)
	for name, want := range map[string]float64{shards[0].Domains[0].Name: 1, ahead.Domains[0].Name: 2} {
		d, _ := active.Domain(name)
		covering := active.PoliciesFor(d)
		if len(covering) != 1 || covering[0].Inbound.Rate != want {
			t.Errorf("%s: %v", name, ids(covering))
		}
		if isNew := covering[0].ID == "p"; isNew != (name == ahead.Domains[0].Name) {
			t.Errorf("%s: policy %s", name, covering[0].ID)
		}
	}
	if p := shards[0].Domains[0].Policies[0]; p != "p" {
		t.Errorf("the shard was changed: %s", p)
	}
}
