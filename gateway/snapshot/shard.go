package snapshot

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
	SHA256 string `json:"sha256"` // hex, of the domains and policies as Hash says; equal for equal content
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

// IndexName is the name of the Secret with the index of a gateway.
func IndexName(gateway string) string { panic("not written yet") }

// ShardName is the name of the Secret with a shard of a gateway: {gateway}-snap-000.
func ShardName(gateway string, number int) string { panic("not written yet") }

// ShardOf says in which shard a domain is, from 0 to Shards-1. It never changes.
func ShardOf(domain string) int { panic("not written yet") }

// EncodeIndex writes an index, gzipped. Equal indexes encode to equal bytes.
func EncodeIndex(x *Index) ([]byte, error) { panic("not written yet") }

// DecodeIndex reads what EncodeIndex wrote. It reads no more than a bounded number of bytes out of the gzip.
func DecodeIndex(b []byte) (*Index, error) { panic("not written yet") }

// EncodeShard writes a shard, gzipped, and sets its SHA256.
func EncodeShard(s *Shard) ([]byte, error) { panic("not written yet") }

// DecodeShard reads what EncodeShard wrote and checks its SHA256.
func DecodeShard(b []byte) (*Shard, error) { panic("not written yet") }

// HashDomain is the hash of one compiled domain with the policies that cover it: hex, equal for equal configurations.
func HashDomain(d *Domain, policies []*Policy) string { panic("not written yet") }

// Assemble puts the parts together. The error names the shard that is missing, stale or not what the index says.
func Assemble(x *Index, shards []*Shard) (*Snapshot, error) { panic("not written yet") }
