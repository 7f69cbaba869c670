// Package publish writes DNS records: as DNSEndpoint objects for external-dns, and by dynamic update to a name server (RFC 2136,
// TSIG of RFC 8945).
//
// It touches only the names and types that it is given, and overwrites nothing that others wrote. It decides neither which
// records a domain needs (package records) nor when to write, and does not look whether they can be seen from outside.
// README.md says how to set up either way.
package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
)

// Publisher keeps the records of one FederatedDomain in one place.
type Publisher interface {
	// Publish makes the records of want exist, and takes back those of ours that want does not have. ours is what was written
	// before: what stands at its names may be replaced, whatever it is by now. A record of want that is not among them is
	// written only where nothing stands. The Outcome counts with an error, too.
	Publish(ctx context.Context, want []records.Record, ours []v1alpha1.PublishedRecord) (Outcome, error)
}

// Outcome is what became of the records.
type Outcome struct {
	// Ours is what is ours now, sorted: written or, where something was in the way, still intended.
	Ours    []v1alpha1.PublishedRecord
	Changed bool      // something was written or taken back
	Foreign []Foreign // in the way, and left as they are
	Outside []string  // names of want that lie outside the zone; sorted
}

// Foreign is a record that somebody else wrote at a name of ours.
type Foreign struct {
	Name, Type string
	Seen       string // its data as zone files write it; several joined by " / "
}

// Error is a failure with its reason, a Reason… constant of v1alpha1. Its message says what is wrong and what to do; it is
// the same for the same failure, and holds no secret.
type Error struct {
	Reason  string
	Message string
}

func (e *Error) Error() string { return e.Message }

func failed(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ReasonPublishFailed, Message: fmt.Sprintf(format, args...)}
}

// Claims is ours with what Publish is about to write noted as intended. Keep it before Publish is called: it is all that is known
// of records that were written when the operator dies before it has noted them. What of ours is not in want stays, as it is
// to be taken back.
func Claims(want []records.Record, ours []v1alpha1.PublishedRecord) []v1alpha1.PublishedRecord {
	out := slices.Clone(ours)
	for _, s := range sets(want) {
		claim := find(out, s.name, s.rrtype)
		if claim == nil {
			out = append(out, v1alpha1.PublishedRecord{Name: s.name, Type: s.rrtype})
			claim = &out[len(out)-1]
		}
		claim.Intended = ""
		if hash := s.hash(); hash != claim.Written {
			claim.Intended = hash
		}
	}
	sortRecords(out)
	return out
}

// Done says whether ours is what want asks for, and nothing remains to be written or taken back.
func Done(want []records.Record, ours []v1alpha1.PublishedRecord) bool {
	all := sets(want)
	if len(all) != len(ours) {
		return false
	}
	for _, s := range all {
		if o := find(ours, s.name, s.rrtype); o == nil || o.Intended != "" || o.Written != s.hash() {
			return false
		}
	}
	return true
}

func find(list []v1alpha1.PublishedRecord, name, rrtype string) *v1alpha1.PublishedRecord {
	i := slices.IndexFunc(list, func(r v1alpha1.PublishedRecord) bool { return r.Name == name && r.Type == rrtype })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func sortRecords(list []v1alpha1.PublishedRecord) {
	slices.SortFunc(list, func(a, b v1alpha1.PublishedRecord) int {
		return strings.Compare(a.Name+" "+a.Type, b.Name+" "+b.Type)
	})
}

// set is an RRset: all records of one type at one name.
type set struct {
	name, rrtype string // name in lower case, with the trailing dot
	rrs          []dns.RR
}

// sets groups records by name and type.
func sets(list []records.Record) []set {
	var out []set
	for _, r := range list {
		rr, err := toRR(r)
		if err != nil {
			continue // its name or data are none; compile lets no such thing through
		}
		name := rr.Header().Name
		i := slices.IndexFunc(out, func(s set) bool { return s.name == name && s.rrtype == r.Type })
		if i < 0 {
			out = append(out, set{name: name, rrtype: r.Type})
			i = len(out) - 1
		}
		out[i].rrs = append(out[i].rrs, rr)
	}
	return out
}

// data are the records as zone files write them, TXT strings joined, sorted: two sets with equal data answer alike.
func (s set) data() []string {
	var out []string
	for _, rr := range s.rrs {
		out = append(out, dataOf(rr))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func dataOf(rr dns.RR) string {
	if txt, ok := rr.(*dns.TXT); ok {
		return strings.Join(txt.Txt, "")
	}
	return strings.ToLower(strings.TrimPrefix(rr.String(), rr.Header().String()))
}

func (s set) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(s.data(), "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (s set) seen() string {
	const longest = 128
	text := strings.Join(s.data(), " / ")
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
}
