package submission

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// submitters are those of all domains, by the way they prove themselves.
type submitters struct {
	tokens       []tokenSubmitter
	certificates []certificateSubmitter
	passwords    []passwordSubmitter
	keys         []keySubmitter
}

// submitter may send for one domain.
type submitter struct {
	name      string
	domain    *snapshot.Domain
	signature *dkim.Signature // what it proved itself by, its body unseen yet; nil = otherwise
}

type tokenSubmitter struct {
	submitter
	sha256 []byte
}

type certificateSubmitter struct {
	submitter
	roots *x509.CertPool
	names []string
}

type passwordSubmitter struct {
	submitter
	username, password []byte // SHA-256 of each
}

func newSubmitters(a *snapshot.Active) (*submitters, error) {
	all := &submitters{}
	for i := range a.Snapshot.Domains {
		domain := &a.Snapshot.Domains[i]
		for _, s := range domain.Submitters {
			who := submitter{name: s.Name, domain: domain}
			switch {
			case len(s.TokenSHA256) == sha256.Size:
				all.tokens = append(all.tokens, tokenSubmitter{who, s.TokenSHA256})
			case s.Certificate != nil:
				roots := x509.NewCertPool()
				if !roots.AppendCertsFromPEM(s.Certificate.CA) {
					return nil, fmt.Errorf("domain %s, submitter %s: no CA certificate", domain.Name, s.Name)
				}
				all.certificates = append(all.certificates, certificateSubmitter{who, roots, s.Certificate.Names})
			case s.Basic != nil && len(s.Basic.PasswordSHA256) == sha256.Size:
				username := sha256.Sum256([]byte(s.Basic.Username))
				all.passwords = append(all.passwords, passwordSubmitter{who, username[:], s.Basic.PasswordSHA256})
			case s.PinnedKey != nil:
				k, err := newKeySubmitter(who, s.PinnedKey)
				if err != nil {
					return nil, fmt.Errorf("domain %s, submitter %s: %w", domain.Name, s.Name, err)
				}
				all.keys = append(all.keys, k)
			default:
				return nil, fmt.Errorf("domain %s, submitter %s: nothing to authenticate it by", domain.Name, s.Name)
			}
		}
	}
	return all, nil
}

// identity is every submitter that a request's credentials belong to: one token may serve several domains.
type identity []submitter

// actingFor returns the submitter that may send for domain, or nil; the ones found by signature come last.
func (id identity) actingFor(domain string) *submitter {
	for i := range id {
		if id[i].domain.Name == domain {
			return &id[i]
		}
	}
	return nil
}

var (
	errNoCredentials = errors.New("no credentials")
	errCredentials   = errors.New("credentials that belong to no submitter")
)

// authenticate says who is asking, or refuses: 401, or 429 after too many failures from one place.
func (h *Handler) authenticate(w http.ResponseWriter, req *http.Request, source netip.Prefix) (identity, *ischedule.Error) {
	presented := fingerprint(req)
	if wait := h.failures().wait(source, presented, h.cfg.Now()); wait > 0 {
		return nil, &ischedule.Error{Status: http.StatusTooManyRequests, Reason: "authentication-rate", RetryAfter: wait,
			Description: "too many failed authentications from this address"}
	}
	who, err := h.submitters.identify(req, h.cfg.Now())
	if err == nil {
		return who, nil
	}
	var signature *dkim.Error
	if errors.As(err, &signature) { // nobody guesses signatures: no failure is counted
		return nil, signatureRefusal(err)
	}
	challenge, reason := `Bearer realm="calfed"`, "credentials-missing"
	if errors.Is(err, errCredentials) {
		h.failures().failed(source, presented, h.cfg.Now())
		challenge, reason = challenge+`, error="invalid_token"`, "credentials-invalid"
	}
	w.Header().Set("WWW-Authenticate", challenge)
	if len(h.submitters.passwords) > 0 {
		w.Header().Add("WWW-Authenticate", `Basic realm="calfed", charset="UTF-8"`) // RFC 7617 §2.1
	}
	return nil, &ischedule.Error{Name: ischedule.OriginatorDenied, Status: http.StatusUnauthorized, Reason: reason,
		Description: "submitters authenticate with a token, a password, a client certificate or a pinned signing key", Err: err}
}

// failures is the memory of failed authentications, of every Handler with the same Shared.
func (h *Handler) failures() *throttle { return &h.cfg.Shared.failures }

// identify finds the submitters that the credentials of a request belong to.
func (s *submitters) identify(req *http.Request, now time.Time) (identity, error) {
	var found identity
	hasAuthorization := len(req.Header.Values("Authorization")) > 0
	if username, password, ok := req.BasicAuth(); ok && onlyAuthorization(req) {
		found = s.byPassword(username, password)
	} else if hasAuthorization {
		found = s.byToken(bearer(req))
	}
	hasCertificate := req.TLS != nil && len(req.TLS.PeerCertificates) > 0
	if hasCertificate {
		for _, c := range s.certificates {
			if c.accepts(req.TLS.PeerCertificates, now) {
				found = append(found, c.submitter)
			}
		}
	}
	hasSignature := len(s.keys) > 0 && len(req.Header.Values(dkim.FieldName)) > 0
	var failure error
	if hasSignature {
		var signed identity
		signed, failure = s.bySignature(req, now)
		found = append(found, signed...)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case hasAuthorization || hasCertificate:
		return nil, errCredentials
	case hasSignature:
		return nil, failure
	}
	return nil, errNoCredentials
}

// byToken compares with all of them, each in constant time: neither which one nor how much of it matches can be measured.
func (s *submitters) byToken(token string) (found identity) {
	sum := sha256.Sum256([]byte(token))
	for _, t := range s.tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sha256) == 1 {
			found = append(found, t.submitter)
		}
	}
	return found
}

// bearer returns the token of the one Authorization field (RFC 6750 §2.1), "" when there are several or the scheme is another.
func bearer(req *http.Request) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(req.Header.Get("Authorization")), " ")
	if !onlyAuthorization(req) || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// onlyAuthorization says whether there is one Authorization field: of several, a proxy may have judged another than we would.
func onlyAuthorization(req *http.Request) bool { return len(req.Header.Values("Authorization")) == 1 }

// accepts says whether a presented chain is the submitter's: issued under its CA for client authentication, valid now,
// and carrying one of its names as DNS or URI SAN.
func (c *certificateSubmitter) accepts(chain []*x509.Certificate, now time.Time) bool {
	leaf := chain[0]
	named := slices.ContainsFunc(c.names, func(name string) bool {
		return slices.ContainsFunc(leaf.DNSNames, func(san string) bool { return strings.EqualFold(san, name) }) ||
			slices.ContainsFunc(leaf.URIs, func(san *url.URL) bool { return san.String() == name })
	})
	if !named {
		return false
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// fingerprint stands for the credentials of a request in the throttle's memory.
func fingerprint(req *http.Request) [sha256.Size]byte {
	parts := slices.Clone(req.Header.Values("Authorization"))
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		parts = append(parts, string(req.TLS.PeerCertificates[0].Raw))
	}
	return fingerprintOf(parts...)
}

func fingerprintOf(parts ...string) [sha256.Size]byte {
	sum := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(sum, "%d %s ", len(part), part)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
