package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

// Error is the first problem of a snapshot, at its place in the encoding. It holds no secret.
type Error struct {
	Place string // "domains[3].signing.keys[0].record"
	Err   error
}

func (e *Error) Error() string { return e.Place + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// at puts an error below a place.
func at(place string, err error) error {
	if err == nil {
		return nil
	}
	var inner *Error
	if errors.As(err, &inner) {
		if strings.HasPrefix(inner.Place, "[") {
			return &Error{place + inner.Place, inner.Err}
		}
		return &Error{place + "." + inner.Place, inner.Err}
	}
	return &Error{place, err}
}

func wrong(place, format string, args ...any) error {
	return &Error{place, fmt.Errorf(format, args...)}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// each validates a list.
func each[T any](list []T, check func(*T) error) error {
	for i := range list {
		if err := check(&list[i]); err != nil {
			return at(index(i), err)
		}
	}
	return nil
}

// firstError is the first of the errors that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func validate(s *Snapshot, m *memory) error {
	if s == nil {
		return wrong("snapshot", "missing")
	}
	if err := checkFormat(s.Format); err != nil {
		return at("format", err)
	}
	if err := s.Gateway.validate(); err != nil {
		return at("gateway", err)
	}
	policies := make(map[string]*Policy, len(s.Policies))
	for i := range s.Policies {
		p := &s.Policies[i]
		err := p.validate(m)
		if err == nil && policies[p.ID] != nil {
			err = wrong("id", "%q appears twice", p.ID)
		}
		if err != nil {
			return at("policies"+index(i), err)
		}
		policies[p.ID] = p
	}
	return at("domains", validateDomains(s.Domains, policies, s.Gateway.Submission.Smarthost != nil, m))
}

func (g *Gateway) validate() error {
	if g.Name == "" {
		return wrong("name", "missing")
	}
	if g.DefaultAction != Allow && g.DefaultAction != Deny {
		return wrong("defaultAction", "%q is neither Allow nor Deny", g.DefaultAction)
	}
	return firstError(
		at("host", checkDomain(g.Host)),
		at("tls", g.TLS.validate()),
		at("capabilities", validateCapabilities(&g.Capabilities)),
		at("egress", g.Egress.validate()),
		at("limits", g.Limits.validate()),
		at("submission", g.Submission.validate()),
	)
}

func (k *KeyPair) validate() error {
	if _, err := tls.X509KeyPair(k.Certificate, k.Key); err != nil {
		return fmt.Errorf("no certificate with its key: %w", err)
	}
	return nil
}

// validateCapabilities demands that every capability is there and can be enforced, PUBLISH not among them. IS-CAP-4.
func validateCapabilities(c *ischedule.Capabilities) error {
	switch {
	case c.Serial == 0:
		return wrong("serial", "missing")
	case !slices.Contains(c.Versions, ischedule.Version):
		return wrong("versions", "%s is missing", ischedule.Version)
	case len(c.Messages) == 0:
		return wrong("messages", "missing")
	case !slices.ContainsFunc(c.DataTypes, func(t ischedule.DataType) bool { return t.ContentType == "text/calendar" }):
		return wrong("dataTypes", "text/calendar is missing")
	case c.MaxContentLength <= 0:
		return wrong("maxContentLength", "must be positive")
	case c.MaxInstances <= 0:
		return wrong("maxInstances", "must be positive")
	case c.MaxRecipients <= 0:
		return wrong("maxRecipients", "must be positive")
	case c.MinDateTime.IsZero():
		return wrong("minDateTime", "missing")
	case !c.MaxDateTime.After(c.MinDateTime):
		return wrong("maxDateTime", "must be after minDateTime")
	case c.Administrator == "":
		return wrong("administrator", "missing")
	}
	return at("messages", each(c.Messages, func(m *ischedule.Component) error {
		if len(m.Methods) == 0 {
			return wrong("methods", "missing: it would advertise PUBLISH too")
		}
		if slices.Contains(m.Methods, "PUBLISH") {
			return wrong("methods", "PUBLISH is not accepted")
		}
		return (&Messages{m.Name, m.Methods}).validate()
	}))
}

func (e *Egress) validate() error {
	valid := func(p *netip.Prefix) error {
		if !p.IsValid() {
			return errors.New("no address range")
		}
		return nil
	}
	if e.Resolver != "" {
		if host, port, err := net.SplitHostPort(e.Resolver); err != nil || host == "" || port == "" {
			return wrong("resolver", "no host and port")
		}
	}
	return firstError(
		at("backendCIDRs", each(e.BackendCIDRs, valid)),
		at("peerCIDRs", each(e.PeerCIDRs, valid)),
		at("caBundle", checkBundle(e.CABundle)),
	)
}

func (l *Limits) validate() error {
	for _, limit := range []struct {
		place string
		value float64
	}{
		{"maxConnections", float64(l.MaxConnections)},
		{"maxConnsPerSource", float64(l.MaxConnsPerSource)},
		{"requestsPerSource", l.RequestsPerSource},
		{"keyLookupsPerSource", l.KeyLookupsPerSource},
		{"keyLookupsPerDomain", l.KeyLookupsPerDomain},
		{"keyLookups", l.KeyLookups},
		{"maxHeaderBytes", float64(l.MaxHeaderBytes)},
		{"maxInFlightBytes", float64(l.MaxInFlightBytes)},
		{"headerTimeout", float64(l.HeaderTimeout)},
		{"bodyTimeout", float64(l.BodyTimeout)},
		{"deliveryTimeout", float64(l.DeliveryTimeout)},
	} {
		if !(limit.value > 0) || math.IsInf(limit.value, 0) { // NaN is not positive either
			return wrong(limit.place, "must be positive")
		}
	}
	return nil
}

func (m *Messages) validate() error {
	if !isName(m.Component) {
		return wrong("component", "%q is no upper-case component name", m.Component)
	}
	return at("methods", each(m.Methods, func(s *string) error {
		if !isName(*s) {
			return fmt.Errorf("%q is no upper-case method name", *s)
		}
		return nil
	}))
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

// checkDomain demands cua.Domain's form.
func checkDomain(name string) error {
	domain, err := cua.Domain(name)
	if err != nil {
		return err
	}
	if domain != name {
		return fmt.Errorf("%q should be spelled %q", name, domain)
	}
	return nil
}

// checkPattern demands "*", "*.suffix" or a name.
func checkPattern(pattern *string) error {
	if *pattern == "*" {
		return nil
	}
	return checkDomain(strings.TrimPrefix(*pattern, "*."))
}

// checkBundle demands that PEM given at all holds certificates, and nothing else.
func checkBundle(bundle []byte) error {
	if len(bundle) == 0 {
		return nil
	}
	found := false
	for rest := bundle; ; found = true {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return errors.New("holds something other than certificates")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("holds a certificate that cannot be read: %w", err)
		}
	}
	if !found {
		return errors.New("holds no certificate")
	}
	return nil
}

// checkURL demands an absolute URL that carries no credentials.
func checkURL(s string, schemes ...string) error {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.Opaque != "" {
		return fmt.Errorf("no absolute %s URL", strings.Join(schemes, " or "))
	}
	if u.User != nil || u.Fragment != "" {
		return errors.New("a URL must hold neither a user name nor a fragment")
	}
	return nil
}
