package snapshot

import "encoding/json"

// HashContent is the hash of a shard with that content, as it stands.
func HashContent(domains, policies json.RawMessage) string {
	return (&shardWire{Domains: domains, Policies: policies}).hash()
}
