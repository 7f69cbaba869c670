package discovery

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The values of Outbound.RequireSecureIdentity (IS-DISC-9).
const (
	requireDNSSEC     = "DNSSEC"
	requireSourceName = "SourceName"
)

// service is the SRV-ID label of iSchedule (D05 §4.2).
const service = "_ischedules"

// settings are the outbound settings and their identity.
type settings struct {
	out *snapshot.Outbound // never nil
	id  string             // of what makes a connection different; a hash, since credentials are among it
}

func settingsOf(out *snapshot.Outbound) *settings {
	if out == nil {
		out = &snapshot.Outbound{}
	}
	h := sha256.New()
	add := func(b []byte) {
		h.Write(binary.AppendUvarint(nil, uint64(len(b))))
		h.Write(b)
	}
	add(out.CABundle)
	add([]byte(strings.Join(out.CertificateSHA256, ",")))
	if c := out.ClientCertificate; c != nil {
		add(c.Certificate)
		add(c.Key)
	}
	add([]byte(out.Authorization))
	add([]byte(out.RequireSecureIdentity))
	add([]byte(out.SignatureProfile)) // one request has one signature
	return &settings{out: out, id: hex.EncodeToString(h.Sum(nil)[:12])}
}

// onlySource says whether the server must prove the source domain, its host name being not enough.
func (s *settings) onlySource() bool { return s.out.RequireSecureIdentity == requireSourceName }

// needsDNSSEC says whether only answers that a validating resolver vouches for may name the server.
func (s *settings) needsDNSSEC() bool { return s.out.RequireSecureIdentity == requireDNSSEC }

// transport is an HTTP transport that its cache closes.
type transport struct{ http *http.Transport }

func (t *transport) close() { t.http.CloseIdleConnections() }

// transport returns the transport for requests to a target, or, when home is false, to another origin that it
// redirected to: then without the client certificate, and never by the rules for configured targets. Named says
// whether the source domain counts as the server's name beside the host: transports that need not know the domain are
// shared by all domains, and their connections with them.
func (d *Discoverer) transport(s *settings, t *target, home, named bool) (*http.Transport, error) {
	class := t.class
	if !home {
		class = netguard.Peer
	}
	only := s.onlySource()
	var names []string
	if named || only {
		names = t.names
		if len(names) == 0 {
			names = []string{t.url.Hostname()} // the host is the source domain
		}
	}
	key := strings.Join(append([]string{s.id, strconv.Itoa(int(class)), strconv.FormatBool(home), strconv.FormatBool(only)}, names...), " ")
	if tr, ok := d.transports.GetIfPresent(key); ok {
		return tr.http, nil
	}
	conf := netguard.TLS{Names: names, Service: service, OnlyNames: only, PinnedSPKI: s.out.CertificateSHA256}
	if len(s.out.CABundle) > 0 {
		conf.Roots = x509.NewCertPool()
		if !conf.Roots.AppendCertsFromPEM(s.out.CABundle) {
			return nil, fmt.Errorf("%w: no certificate in the policy's CA bundle", ErrTemporary)
		}
	}
	if c := s.out.ClientCertificate; c != nil && home {
		pair, err := tls.X509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: the policy's client certificate: %w", ErrTemporary, err)
		}
		conf.ClientCertificate = &pair
	}
	tr, stored := d.transports.SetIfAbsent(key, &transport{http: d.cfg.Guard.Transport(class, conf)})
	_ = stored // when another call was faster, tr is its transport
	return tr.http, nil
}
