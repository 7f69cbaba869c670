package imip

import (
	"context"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"github.com/calfed/calfed/gateway/cua"
)

// results looks for a proof in the Authentication-Results field of our own MX. nil, nil: there is none. It says nothing about
// Sender, and nothing about a Content-Type that no signature may cover.
func (c *check) results(ctx context.Context) (*Proof, error) {
	fields := c.header.Values("Authentication-Results")
	if c.v.AuthservID == "" || c.field != "From" || !c.framed || len(fields) == 0 {
		return nil, nil
	}
	text, ok := plain(fields[0])
	if !ok {
		return nil, nil
	}
	id, list, err := authres.Parse(text)
	if err != nil || !strings.EqualFold(id, c.v.AuthservID) {
		return nil, nil
	}
	var judged *authres.DMARCResult
	var passed []string
	for _, r := range list {
		switch r := r.(type) {
		case *authres.DMARCResult:
			if judged != nil {
				return nil, nil // two judgements are none
			}
			judged = r
		case *authres.DKIMResult:
			if r.Value == authres.ResultPass {
				passed = append(passed, signer(r))
			}
		}
	}
	if judged != nil && judged.Value != authres.ResultNone {
		if from, err := cua.Domain(judged.From); judged.Value != authres.ResultPass || err != nil || from != c.domain {
			return nil, nil
		}
		return &Proof{Domain: c.domain, How: "authentication-results dmarc=pass"}, nil
	}
	for _, d := range passed {
		if aligned, err := c.aligned(ctx, d); aligned || err != nil {
			if err != nil {
				return nil, err
			}
			return &Proof{Domain: c.domain, How: "authentication-results dkim=pass"}, nil
		}
	}
	return nil, nil
}

// signer is the domain of a dkim result, by header.d or else header.i.
func signer(r *authres.DKIMResult) string {
	if r.Domain != "" {
		return r.Domain
	}
	_, d, _ := strings.Cut(r.Identifier, "@")
	return d
}

// plain takes comments out of a field and the content out of quoted strings (RFC 8601 §2.2): a stranger's mail decides about both,
// and authres.Parse would read results in them. false: they do not end.
func plain(s string) (string, bool) {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '\\' && (depth > 0 || quoted):
			i++
		case quoted:
			quoted = ch != '"'
		case ch == '(':
			depth++
		case ch == ')' && depth > 0:
			if depth--; depth == 0 {
				_ = b.WriteByte(' ')
			}
		case depth > 0:
		case ch == '"':
			quoted = true
			_, _ = b.WriteString("quoted")
		default:
			_ = b.WriteByte(ch)
		}
	}
	return b.String(), depth == 0 && !quoted
}
