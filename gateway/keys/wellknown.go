package keys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/freshness"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
)

const (
	service        = "_domainkey_lookup"
	maxDocument    = 64 << 10
	maxTargets     = 4
	targetTimeout  = 5 * time.Second // one target, so that the next one still has its turn
	acceptedFormat = "text/plain"
)

// permanentError is a fault of a target that asking again does not cure.
type permanentError struct{ reason string }

func (e *permanentError) Error() string { return e.reason }

// errNoKey is a definite answer: no other target need be asked.
var errNoKey = &permanentError{"no key there"}

// askWellKnown finds the key servers of the domain by SRV and asks one after the other until one answers with a
// document or says that there is none. IS-DKIM-11.
func (l *Lookup) askWellKnown(ctx context.Context, id keyID) (*entry, error) {
	targets, answer, err := l.cfg.DNS.LookupSRV(ctx, service+"._tcp."+id.domain)
	switch {
	case errors.Is(err, resolver.ErrName):
		return noKey("the name would be too long").lasting(maxNegative, l.cfg.Now()), nil
	case err != nil:
		return nil, err
	case len(targets) == 0, len(targets) == 1 && targets[0].Target == "": // RFC 2782: "." is no service here
		return noKey("no key server").lasting(answer.TTL, l.cfg.Now()), nil
	}
	targets = resolver.OrderSRV(targets, rand.IntN)
	var temporary, fault error
	for _, t := range targets[:min(len(targets), maxTargets)] {
		texts, fresh, err := l.fetch(ctx, t, id)
		if err == nil {
			return newEntry(texts).lasting(fresh, l.cfg.Now()), nil
		}
		err = fmt.Errorf("key server %.253q: %w", t.Target, err)
		switch {
		case errors.Is(err, errNoKey):
			return noKey(err.Error()).lasting(maxNegative, l.cfg.Now()), nil
		case permanent(err):
			fault = err
		default:
			temporary = err
		}
	}
	if temporary != nil {
		return nil, temporary
	}
	return noKey(fault.Error()).lasting(maxNegative, l.cfg.Now()), nil
}

// fetch gets the key document from one target: its lines, and how long it is fresh.
func (l *Lookup) fetch(ctx context.Context, t resolver.SRV, id keyID) ([]string, time.Duration, error) {
	if !dkim.IsDomain(t.Target) {
		return nil, 0, &permanentError{"target is no host name"}
	}
	ctx, cancel := context.WithTimeout(ctx, targetTimeout)
	defer cancel()
	// Domain and selector are LDH labels: they need no escaping and cannot leave their segments.
	u := url.URL{
		Scheme: "https",
		Host:   net.JoinHostPort(t.Target, strconv.Itoa(int(t.Port))),
		Path:   "/.well-known/domainkey/" + id.domain + "/" + id.selector,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, &permanentError{"no request can be made of the target"}
	}
	req.Header.Set("Accept", acceptedFormat)
	req.Header.Set("User-Agent", "calfed")

	// A certificate for the source domain counts as well (RFC 6125), so each look-up has its own transport. Answers are
	// cached: there is little to gain from a kept connection.
	transport := l.cfg.Guard.Transport(netguard.Peer, netguard.TLS{Names: []string{id.domain}, Service: service})
	transport.DisableKeepAlives = true
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := checkResponse(resp); err != nil {
		return nil, 0, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > maxDocument {
		return nil, 0, &permanentError{"document above 64 KiB"}
	}
	return lines(string(body)), freshness.Of(resp.Header, l.cfg.Now()), nil
}

func checkResponse(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return errNoKey
	case code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("status %d", code)
	case code != http.StatusOK:
		return &permanentError{fmt.Sprintf("status %d", code)}
	case resp.ContentLength > maxDocument:
		return &permanentError{"document above 64 KiB"}
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != acceptedFormat {
		return &permanentError{"document is not " + acceptedFormat}
	}
	return nil
}

// lines splits a key document: one tag-list a line (D05 §7.3.2.2). More than newEntry looks at are left away.
func lines(doc string) []string {
	var out []string
	for line := range strings.Lines(doc) {
		if line = strings.TrimSpace(line); line != "" && len(out) < maxTexts {
			out = append(out, line)
		}
	}
	return out
}

// permanent tells faults that asking again does not cure from those that may pass; an unknown one may pass (IS-DKIM-13).
func permanent(err error) bool {
	var fault *permanentError
	var refused *netguard.RefusedError
	var noTLS tls.RecordHeaderError
	var noHost *net.DNSError
	return errors.As(err, &fault) || errors.As(err, &refused) || errors.Is(err, netguard.ErrIdentity) ||
		errors.Is(err, resolver.ErrName) || errors.As(err, &noTLS) || errors.As(err, &noHost) && noHost.IsNotFound
}
