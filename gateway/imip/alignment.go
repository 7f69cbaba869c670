package imip

import (
	"context"
	"errors"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// aligned says whether a signature of domain d speaks for the domain to prove: the same, or of the same organization unless the
// domain's DMARC record demands adkim=s (RFC 7489 §3.1.1). An error is transient.
func (c *check) aligned(ctx context.Context, d string) (bool, error) {
	d = strings.ToLower(d)
	if d == c.domain {
		return true, nil
	}
	if !sameOrganization(d, c.domain) {
		return false, nil
	}
	record, err := c.dmarc(ctx, c.domain)
	if record == nil && err == nil {
		if organization, _ := publicsuffix.EffectiveTLDPlusOne(c.domain); organization != c.domain {
			record, err = c.dmarc(ctx, organization)
		}
	}
	if err != nil {
		return false, err
	}
	return record == nil || record.DKIMAlignment != dmarc.AlignmentStrict, nil
}

// dmarc is the record of one name; nil when there is none that can be read (RFC 7489 §6.6.3).
func (c *check) dmarc(ctx context.Context, domain string) (*dmarc.Record, error) {
	record, err := dmarc.LookupWithOptions(domain, &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) {
		return c.lookup(ctx, name)
	}})
	switch {
	case err == nil:
		return record, nil
	case dmarc.IsTempFail(err):
		return nil, err
	}
	return nil, nil
}

// sameOrganization compares organizational domains. The private section of the list counts too: neighbours under github.io do
// not speak for each other.
func sameOrganization(a, b string) bool {
	x, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a))
	if err != nil {
		return false
	}
	y, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b))
	return err == nil && x == y
}

// maxKeyRecord holds an RSA key of 8192 bits: what is longer costs more to verify than a mail is worth.
const maxKeyRecord = 2048

var (
	errForeign = errors.New("another organization's signature")
	errRecord  = errors.New("the key record is too long, or the key is in test mode")
)

// keyLookup asks DNS for keys that could prove something: a mail cannot make us ask about whatever it likes.
func (c *check) keyLookup(ctx context.Context) func(name string) ([]string, error) {
	return func(name string) ([]string, error) {
		_, d, _ := strings.Cut(strings.ToLower(name), "._domainkey.")
		if d != c.domain && !sameOrganization(d, c.domain) {
			return nil, errForeign
		}
		records, err := c.lookup(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if len(r) > maxKeyRecord || inTestMode(r) {
				return nil, errRecord
			}
		}
		return records, nil
	}
}

// inTestMode finds t=y: such a mail is to be treated as one that is not signed (RFC 6376 §3.6.1).
func inTestMode(record string) bool {
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) != "t" {
			continue
		}
		for flag := range strings.SplitSeq(value, ":") {
			if strings.TrimSpace(flag) == "y" {
				return true
			}
		}
	}
	return false
}

// noAnswer is how go-msgauth knows that a look-up may be tried again: as a net.Error.
type noAnswer struct{ error }

func (noAnswer) Timeout() bool   { return true }
func (noAnswer) Temporary() bool { return true }

var errName = errors.New("not a domain name")

// lookup asks for names that are some.
func (c *check) lookup(ctx context.Context, name string) ([]string, error) {
	if !isName(name) {
		return nil, errName
	}
	records, err := c.v.LookupTXT(ctx, name)
	if err != nil {
		return nil, noAnswer{err}
	}
	return records, nil
}

// isName says whether DNS can be asked: letters, digits, hyphens and underscores in labels.
func isName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}
