package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
)

// Authority asks the authoritative name servers of a name, each of them, and never a cache: whoever asks a resolver for a
// record that is not out yet makes it remember that there is none (RFC 2308).
type Authority struct{ cfg AuthorityConfig }

// AuthorityConfig of an Authority.
type AuthorityConfig struct {
	DNS   DNS // finds the name servers and their addresses
	Guard *netguard.Guard
	Port  uint16 // of the name servers; 0 = 53
	Now   func() time.Time
}

// NewAuthority makes an Authority.
func NewAuthority(cfg AuthorityConfig) *Authority { return &Authority{cfg: cfg} }

// Answers are what the servers of one zone say about one name and type.
type Answers struct {
	Zone        string         // closest enclosing zone, with the trailing dot
	NegativeTTL time.Duration  // how long resolvers remember that something is not there (RFC 2308 §5)
	Servers     []ServerAnswer // every address of every name server, sorted
}

// ServerAnswer is what one server says.
type ServerAnswer struct {
	Server string // name
	Addr   netip.AddrPort
	// Data are the records of the type, as zone files write them, TXT strings joined and without quotes; sorted. A CNAME is
	// followed only where it was asked for. nil = there is none.
	Data []string
	TTL  time.Duration
	Err  error // it could not be asked, or refused
}

// Lookup asks every authoritative server of name (with or without trailing dot) for records of a type: TXT, SRV, CNAME or
// NS. The error is for what comes before: the zone or its servers cannot be found.
func (a *Authority) Lookup(ctx context.Context, name, rrtype string) (*Answers, error) {
	panic("not written yet")
}
