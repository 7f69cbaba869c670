package imip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-msgauth/dkim"

	"github.com/calfed/calfed/gateway/cua"
)

// Verifier proves who sent a mail that came from outside.
type Verifier struct {
	// LookupTXT gives the strings of each record joined. No record is no error; an error means that DNS did not answer.
	LookupTXT func(ctx context.Context, name string) ([]string, error)
	// AuthservID is the name of our own MX in Authentication-Results (RFC 8601); "" = none is believed. The MX must
	// remove every such field with its own name from mail that comes in, and put its own on top (RFC 8601 §5).
	AuthservID string
	Now        func() time.Time // nil = time.Now
}

// Proof is what is proven about a mail.
type Proof struct {
	Domain string // of the originator's address in From or Sender
	How    string // for logs: "dkim d=…", "authentication-results dmarc=pass"
}

const (
	maxSignatures = 5
	maxNames      = 500
	maxClockSkew  = 5 * time.Minute
)

// once are the fields that must not stand there twice: two readers would take two different ones.
var once = []string{"From", "Sender", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}

// Verify demands that the mail is from originator, and that this is proven: by a believed Authentication-Results field with
// dmarc=pass or an aligned dkim=pass; else by an aligned DKIM signature that verifies here, aligned as the domain's DMARC
// record says (adkim; without one: relaxed). The mail's one From must be originator, or its Sender is (RFC 6047 §3): that is
// only proven by a signature here that covers Sender, for nothing else vouches for it.
//
// Of Authentication-Results only the top-most field of the mail counts, and it must be of AuthservID. Signatures with l=, by
// rsa-sha1, by RSA keys below 1024 bits and by keys in test mode count for nothing. What does not cover Content-Type, and
// Content-Transfer-Encoding where there is one, proves a mail only if its body begins with its first part: else a boundary or an
// encoding put there by somebody else could make a message of a quotation.
//
// *Error when it is not proven (Reason "from", "from-mismatch", "not-proven", "repeated-field", "malformed"); other errors
// are transient: DNS did not answer.
func (v *Verifier) Verify(ctx context.Context, mail []byte, originator cua.Address) (*Proof, error) {
	h, _, body, err := splitHeader(mail, mailLines)
	if err != nil {
		return nil, malformed(err)
	}
	for _, name := range once {
		if len(h.Values(name)) > 1 {
			return nil, &Error{Reason: "repeated-field", Description: "The mail has more than one " + name + " field."}
		}
	}
	for _, s := range h.Values("DKIM-Signature") {
		if strings.Count(s, ":") > maxNames {
			return nil, malformed(errHeader) // each name in h= is a walk through the header
		}
	}
	author, ok := mailbox(&h, "From")
	if !ok {
		return nil, &Error{Reason: "from", Description: "The mail does not have one sender with one address."}
	}
	c := check{v: v, header: &h, mail: mail, domain: originator.Domain(), field: "From", framed: framed(&h, body)}
	if !sameMailbox(author, originator) {
		sender, ok := mailbox(&h, "Sender")
		if !ok || !sameMailbox(sender, originator) {
			return nil, &Error{Reason: "from-mismatch", Description: "The mail is not from the address that its calendar message speaks for."}
		}
		c.field = "Sender"
	}
	proof, err := c.results(ctx)
	if proof != nil || err != nil {
		return proof, err
	}
	return c.signatures(ctx)
}

// check is one mail under verification.
type check struct {
	v      *Verifier
	header *textproto.Header
	mail   []byte
	domain string // to prove
	field  string // that names it
	framed bool   // the body begins with its first part
}

// signatures tries the DKIM signatures.
func (c *check) signatures(ctx context.Context) (*Proof, error) {
	verified, err := dkim.VerifyWithOptions(bytes.NewReader(c.mail), &dkim.VerifyOptions{
		LookupTXT: c.keyLookup(ctx), MaxVerifications: maxSignatures,
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return nil, malformed(err)
	}
	refused := errors.New("no signature of " + c.domain)
	var transient error
	for _, s := range verified {
		if dkim.IsTempFail(s.Err) {
			transient = s.Err
			continue
		}
		err := s.Err
		if err == nil {
			err = c.covers(s)
		}
		if err == nil {
			aligned, lookup := c.aligned(ctx, s.Domain)
			if lookup != nil {
				transient = lookup
				continue
			}
			if aligned {
				return &Proof{Domain: c.domain, How: "dkim d=" + strings.ToLower(s.Domain)}, nil
			}
			continue
		}
		if sameOrganization(s.Domain, c.domain) {
			refused = err
		}
	}
	if transient != nil {
		return nil, fmt.Errorf("imip: %w", transient)
	}
	return nil, &Error{Reason: "not-proven", Description: "Nothing proves that the mail is from " + c.domain + ".", Err: refused}
}

// covers says whether a valid signature is about what we go by.
func (c *check) covers(s *dkim.Verification) error {
	now := time.Now
	if c.v.Now != nil {
		now = c.v.Now
	}
	signs := func(field string) bool {
		return slices.ContainsFunc(s.HeaderKeys, func(k string) bool { return strings.EqualFold(k, field) })
	}
	switch {
	case !signs(c.field):
		return errors.New(c.field + " is not signed")
	case !signs("Content-Type") && !c.framed:
		return errors.New("Content-Type is not signed")
	case !c.framed && c.header.Has("Content-Transfer-Encoding") && !signs("Content-Transfer-Encoding"):
		return errors.New("Content-Transfer-Encoding is not signed")
	case !s.Expiration.IsZero() && now().After(s.Expiration):
		return errors.New("the signature has expired")
	case s.Time.After(now().Add(maxClockSkew)):
		return errors.New("the signature is from the future")
	}
	return nil
}

// preamble is what software writes for readers without MIME; nobody else's words.
const preamble = "this is a multi-part message in mime format"

// framed says whether the body is a multipart that begins with its first delimiter, save for a common preamble.
func framed(h *textproto.Header, body []byte) bool {
	kind, params := mediaType(h)
	if !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return false
	}
	for len(body) > 0 {
		line := body
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		body = body[len(line):]
		text := strings.ToLower(strings.TrimRight(string(line[:min(len(line), 2*len(preamble))]), " \t\r\n."))
		if text == "" || text == preamble {
			continue
		}
		is, _ := delimiter(line, params["boundary"])
		return is
	}
	return false
}
