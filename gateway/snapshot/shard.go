package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// A snapshot travels in parts: an index with what all domains share, and up to Shards shards with the domains, each
// self-contained (its policies, keys and credentials are in it). Each part is gzipped JSON small enough for a Secret.
//
// Changed shards are written first, the index last. A reader accepts a shard whose serial is at least the one the index
// names: it is then on the way to the next index. The formats are additive and readable one version back and forth.

// Shards is the number of shards that domains are spread over.
const Shards = 256

// The keys under which the parts lie in the data of their Secrets.
const (
	IndexKey = "index"
	ShardKey = "shard"
)

// Index is the part that all pods watch.
type Index struct {
	Format  int        `json:"format"`
	Serial  uint64     `json:"serial"` // one more than that of the index before
	Gateway Gateway    `json:"gateway"`
	Shards  []ShardRef `json:"shards,omitempty"` // by number; shards without domains are absent
}

// ShardRef names a state of a shard.
type ShardRef struct {
	Number int    `json:"number"`
	Serial uint64 `json:"serial"` // of the index with which the state came
	SHA256 string `json:"sha256"` // hex, of the domains and policies as they are encoded; equal for equal content
}

// Shard is a part of the domains.
type Shard struct {
	Format   int      `json:"format"`
	Number   int      `json:"number"`
	Serial   uint64   `json:"serial"`
	SHA256   string   `json:"sha256"`
	Domains  []Domain `json:"domains,omitempty"`
	Policies []Policy `json:"policies,omitempty"`
}

// Ref is the state of the shard as an index names it.
func (s *Shard) Ref() ShardRef { return ShardRef{s.Number, s.Serial, s.SHA256} }

// IndexName is the name of the Secret with the index of a gateway.
func IndexName(gateway string) string { return gateway + "-snap-index" }

// ShardName is the name of the Secret with a shard of a gateway: {gateway}-snap-000.
func ShardName(gateway string, number int) string {
	return fmt.Sprintf("%s-snap-%03d", gateway, number)
}

// ShardOf says in which shard a domain is, from 0 to Shards-1. It never changes.
func ShardOf(domain string) int {
	sum := sha256.Sum256([]byte(domain))
	return int(sum[0])
}

// EncodeIndex writes an index, gzipped. Equal indexes encode to equal bytes.
func EncodeIndex(x *Index) ([]byte, error) {
	out := *x
	out.Format = FormatVersion
	if err := out.check(); err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	b, err := pack(&out)
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	return b, nil
}

// DecodeIndex reads what EncodeIndex wrote. It reads no more than a bounded number of bytes out of the gzip.
func DecodeIndex(b []byte) (*Index, error) {
	x := new(Index)
	err := unpack(b, x)
	if err == nil {
		err = at("format", checkFormat(x.Format))
	}
	if err == nil {
		err = x.check()
	}
	if err != nil {
		return nil, fmt.Errorf("decode index: %w", err)
	}
	return x, nil
}

func (x *Index) check() error {
	before := -1
	return at("shards", each(x.Shards, func(ref *ShardRef) error {
		digest, err := hex.DecodeString(ref.SHA256)
		switch {
		case ref.Number < 0 || ref.Number >= Shards:
			return wrong("number", "%d is not from 0 to %d", ref.Number, Shards-1)
		case ref.Number <= before:
			return wrong("number", "%d after %d: not in order", ref.Number, before)
		case err != nil || len(digest) != sha256.Size:
			return wrong("sha256", "no SHA-256 digest in hexadecimal")
		}
		before = ref.Number
		return nil
	}))
}

// shardWire is a shard with its content as it stands, so that the hash also covers fields that this version does not know.
type shardWire struct {
	Format   int             `json:"format"`
	Number   int             `json:"number"`
	Serial   uint64          `json:"serial"`
	SHA256   string          `json:"sha256"`
	Domains  json.RawMessage `json:"domains,omitempty"`
	Policies json.RawMessage `json:"policies,omitempty"`
}

// hash is over the content alone: a shard written again with a new serial hashes as before. The NUL is in no JSON.
func (w *shardWire) hash() string {
	h := sha256.New()
	_, _ = h.Write(w.Domains) // a hash takes everything
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(w.Policies)
	return hex.EncodeToString(h.Sum(nil))
}

// EncodeShard writes a shard, gzipped, and sets its SHA256. Shards with equal domains and policies get equal ones.
func EncodeShard(s *Shard) ([]byte, error) {
	b, err := encodeShard(s)
	if err != nil {
		return nil, fmt.Errorf("encode shard %d: %w", s.Number, err)
	}
	return b, nil
}

func encodeShard(s *Shard) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	w := shardWire{Format: FormatVersion, Number: s.Number, Serial: s.Serial}
	var err error
	if w.Domains, err = marshalList(s.Domains); err != nil {
		return nil, err
	}
	if w.Policies, err = marshalList(s.Policies); err != nil {
		return nil, err
	}
	w.SHA256 = w.hash()
	s.SHA256 = w.SHA256
	return pack(&w)
}

// marshalList leaves out an empty list, as omitempty does.
func marshalList[T any](list []T) (json.RawMessage, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return json.Marshal(list)
}

// DecodeShard reads what EncodeShard wrote and checks its SHA256.
func DecodeShard(b []byte) (*Shard, error) {
	s, err := decodeShard(b)
	if err != nil {
		return nil, fmt.Errorf("decode shard: %w", err)
	}
	return s, nil
}

func decodeShard(b []byte) (*Shard, error) {
	var w shardWire
	if err := unpack(b, &w); err != nil {
		return nil, err
	}
	if err := checkFormat(w.Format); err != nil {
		return nil, at("format", err)
	}
	if w.SHA256 != w.hash() {
		return nil, wrong("sha256", "the content is not what it was made over")
	}
	s := &Shard{Format: w.Format, Number: w.Number, Serial: w.Serial, SHA256: w.SHA256}
	if err := unmarshalList(w.Domains, &s.Domains); err != nil {
		return nil, at("domains", err)
	}
	if err := unmarshalList(w.Policies, &s.Policies); err != nil {
		return nil, at("policies", err)
	}
	return s, s.check()
}

func unmarshalList[T any](b json.RawMessage, list *[]T) error {
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, list)
}

// check holds a shard against what makes it one: every domain belongs here, once, and its policies are here too.
func (s *Shard) check() error {
	if s.Number < 0 || s.Number >= Shards {
		return wrong("number", "%d is not from 0 to %d", s.Number, Shards-1)
	}
	policies := make(map[string]bool, len(s.Policies))
	err := each(s.Policies, func(p *Policy) error {
		if policies[p.ID] {
			return wrong("id", "%q appears twice", p.ID)
		}
		policies[p.ID] = true
		return nil
	})
	if err != nil {
		return at("policies", err)
	}
	names := make(map[string]bool, len(s.Domains))
	return at("domains", each(s.Domains, func(d *Domain) error {
		if of := ShardOf(d.Name); of != s.Number {
			return wrong("name", "%q belongs to shard %d", d.Name, of)
		}
		if names[d.Name] {
			return wrong("name", "%q appears twice", d.Name)
		}
		names[d.Name] = true
		return at("policies", each(d.Policies, func(id *string) error {
			if !policies[*id] {
				return fmt.Errorf("there is no policy %q in the shard", *id)
			}
			return nil
		}))
	}))
}

// HashPolicy is the hash of one compiled policy: hex, equal for equal ones.
func HashPolicy(p *Policy) string { return hashOf(p) }

// HashDomain is the hash of one compiled domain with the policies that cover it, by their HashPolicy: hex, equal for equal
// configurations.
func HashDomain(d *Domain, policies []string) string {
	return hashOf(struct {
		Domain   *Domain
		Policies []string
	}{d, policies})
}

func hashOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // a number that JSON does not have: Activate refuses it
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
