package netguard_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

func newCA(t *testing.T, domains ...string) *catest.CA {
	t.Helper()
	ca, err := catest.New(domains...)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *catest.CA, l catest.Leaf) tls.Certificate {
	t.Helper()
	c, err := ca.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve starts a TLS server and returns its port.
func serve(t *testing.T, cfg *tls.Config, h http.HandlerFunc) (port string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = cfg
	s.EnableHTTP2 = len(cfg.NextProtos) == 0
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndex(s.URL, ":")+1:]
}

func get(t *testing.T, tr *http.Transport, url string) (*http.Response, error) {
	t.Helper()
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

// Proves: IS-DISC-9
func TestServerIdentity(t *testing.T) {
	ca, other, limited := newCA(t), newCA(t), newCA(t, "mine.test")
	host := issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})
	unknown := issue(t, other, catest.Leaf{DNS: []string{"cal.test"}})
	domain := issue(t, ca, catest.Leaf{DNS: []string{"example.test"}})
	srv := issue(t, ca, catest.Leaf{DNS: []string{"host7.provider.test"}, SRV: []string{"_xmpp.example.test", "_Ischedules.Example.test"}})
	foreign := issue(t, limited, catest.Leaf{DNS: []string{"host.mine.test"}, SRV: []string{"_ischedules.example.test"}})

	source := netguard.TLS{Names: []string{"example.test"}, Service: "_ischedules"}
	only := source
	only.OnlyNames = true
	pins := func(c ...tls.Certificate) (out []string) {
		for _, c := range c {
			out = append(out, catest.SPKI(c))
		}
		return out
	}
	tests := []struct {
		name string
		cert tls.Certificate
		tls  netguard.TLS
		ok   bool
	}{
		{"the host name", host, netguard.TLS{}, true},
		{"the host name, with other names besides", host, source, true},
		{"another name", domain, netguard.TLS{}, false},
		{"the source domain", domain, source, true},
		{"an SRV-ID of the source domain", srv, source, true},
		{"an SRV-ID of another domain", srv, netguard.TLS{Names: []string{"other.test"}, Service: "_ischedules"}, false},
		{"an SRV-ID of another service", srv, netguard.TLS{Names: []string{"example.test"}, Service: "_imaps"}, false},
		{"an SRV-ID where no service is asked for", srv, netguard.TLS{Names: []string{"example.test"}}, false},
		{"an SRV-ID from a CA that is limited to other names", foreign, netguard.TLS{
			Names: source.Names, Service: source.Service, Roots: limited.Pool(),
		}, false},
		{"the host name, where only the source domain counts", host, only, false},
		{"the source domain, where only it counts", domain, only, true},
		{"an SRV-ID, where only the source domain counts", srv, only, true},
		{"only names, and none given", host, netguard.TLS{OnlyNames: true}, false},
		{"a CA that is not trusted", unknown, netguard.TLS{}, false},
		{"a CA that the policy adds", unknown, netguard.TLS{Roots: other.Pool()}, true},
		{"the policy's CA stands in place of the guard's", host, netguard.TLS{Roots: other.Pool()}, false},
		{"expired", issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}, Expired: true}), netguard.TLS{}, false},
		{"a client's certificate", issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}, Client: true}), netguard.TLS{}, false},
		{"the pinned key", host, netguard.TLS{PinnedSPKI: pins(domain, host)}, true},
		{"the pinned key, in capitals", host, netguard.TLS{PinnedSPKI: []string{strings.ToUpper(catest.SPKI(host))}}, true},
		{"another key than the pinned one", host, netguard.TLS{PinnedSPKI: pins(domain)}, false},
		{"a pin does not replace the chain", unknown, netguard.TLS{PinnedSPKI: pins(unknown)}, false},
		{"a pin does not replace the name", domain, netguard.TLS{PinnedSPKI: pins(domain)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sni string
			port := serve(t, &tls.Config{
				Certificates:       []tls.Certificate{tt.cert},
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { sni = h.ServerName; return nil, nil },
			}, func(http.ResponseWriter, *http.Request) {})
			g := netguard.New(netguard.Config{Resolver: staticResolver{"127.0.0.1"}, PeerCIDRs: loopback(), Roots: ca.Pool()})
			_, err := get(t, g.Transport(netguard.Peer, tt.tls), "https://cal.test:"+port+"/")
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, netguard.ErrIdentity)) {
				t.Errorf("err = %v, want ok = %v", err, tt.ok)
			}
			if sni != "cal.test" {
				t.Errorf("SNI %q", sni)
			}
		})
	}
}

func TestAnAddressAsHostNeedsItsOwnCertificate(t *testing.T) {
	ca := newCA(t)
	g := netguard.New(netguard.Config{PeerCIDRs: loopback(), Roots: ca.Pool()})
	named := serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})}},
		func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, g.Transport(netguard.Peer, netguard.TLS{}), "https://127.0.0.1:"+named+"/"); !errors.Is(err, netguard.ErrIdentity) {
		t.Errorf("err = %v", err)
	}
	loop := issue(t, ca, catest.Leaf{IPs: []net.IP{{127, 0, 0, 1}}})
	port := serve(t, &tls.Config{Certificates: []tls.Certificate{loop}}, func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, g.Transport(netguard.Peer, netguard.TLS{}), "https://127.0.0.1:"+port+"/"); err != nil {
		t.Error(err)
	}
}

// Proves: IS-DISC-9
func TestOldTLSIsRefused(t *testing.T) {
	ca := newCA(t)
	port := serve(t, &tls.Config{
		Certificates: []tls.Certificate{issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		NextProtos: []string{"http/1.1"}, // HTTP/2 would refuse by itself
	}, func(http.ResponseWriter, *http.Request) {})
	g := netguard.New(netguard.Config{Resolver: staticResolver{"127.0.0.1"}, PeerCIDRs: loopback(), Roots: ca.Pool()})
	if _, err := get(t, g.Transport(netguard.Peer, netguard.TLS{}), "https://cal.test:"+port+"/"); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// Proves: IS-DISC-10
func TestTransportIsGuarded(t *testing.T) {
	ca := newCA(t)
	port := serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})}},
		func(http.ResponseWriter, *http.Request) {})
	g := netguard.New(netguard.Config{Resolver: staticResolver{"127.0.0.1"}, BackendCIDRs: loopback(), Roots: ca.Pool()})
	for _, scheme := range []string{"https", "http"} {
		_, err := get(t, g.Transport(netguard.Peer, netguard.TLS{}), scheme+"://cal.test:"+port+"/")
		if got := ruleOf(t, err); got != "loopback" {
			t.Errorf("%s: refused by %q", scheme, got)
		}
	}
	if _, err := get(t, g.Transport(netguard.Backend, netguard.TLS{}), "https://cal.test:"+port+"/"); err != nil {
		t.Error(err)
	}
}

func TestTransport(t *testing.T) {
	// The environment's proxy must play no part; nothing listens at this one.
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	ca := newCA(t)
	client := issue(t, ca, catest.Leaf{DNS: []string{"gw.test"}, Client: true})
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("compressed answers were asked for")
		}
		if len(r.TLS.PeerCertificates) > 0 {
			w.Header().Set("Client", strings.Join(r.TLS.PeerCertificates[0].DNSNames, " "))
		}
		if r.URL.Path == "/flood" {
			w.Header().Set("X", strings.Repeat("x", 128<<10))
		}
	}
	g := netguard.New(netguard.Config{Resolver: staticResolver{"127.0.0.1"}, PeerCIDRs: loopback(), Roots: ca.Pool()})
	for protocol, offered := range map[string][]string{"HTTP/2.0": nil, "HTTP/1.1": {"http/1.1"}} {
		t.Run(protocol, func(t *testing.T) {
			url := "https://cal.test:" + serve(t, &tls.Config{
				Certificates: []tls.Certificate{issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})},
				ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: ca.Pool(), NextProtos: offered,
			}, handler)
			plain, withCert := g.Transport(netguard.Peer, netguard.TLS{}), g.Transport(netguard.Peer, netguard.TLS{ClientCertificate: &client})
			resp, err := get(t, plain, url+"/")
			if err != nil || resp.Proto != protocol || resp.Header.Get("Client") != "" {
				t.Errorf("%+v %v", resp, err)
			}
			resp, err = get(t, withCert, url+"/")
			if err != nil || resp.Header.Get("Client") != "gw.test" {
				t.Errorf("client certificate: %+v %v", resp, err)
			}
			if _, err = get(t, plain, url+"/flood"); err == nil {
				t.Error("a header of 128 KiB was read")
			}
		})
	}
}

func FuzzReadSRVIDs(f *testing.F) {
	ca, err := catest.New()
	if err != nil {
		f.Fatal(err)
	}
	c, err := ca.Issue(catest.Leaf{DNS: []string{"cal.test"}, SRV: []string{"_ischedules.example.test"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, ext := range c.Leaf.Extensions {
		if ext.Id.String() == "2.5.29.17" {
			if got := netguard.ReadSRVIDs(ext.Value); !slices.Equal(got, []string{"_ischedules.example.test"}) {
				f.Fatalf("read %q", got)
			}
			f.Add(ext.Value)
		}
	}
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, san []byte) {
		for _, id := range netguard.ReadSRVIDs(san) {
			if !strings.Contains(string(san), id) {
				t.Errorf("%q is not in the input", id)
			}
			if strings.ContainsFunc(id, func(r rune) bool { return r > 127 }) {
				t.Errorf("%q is no IA5String", id)
			}
		}
	})
}

func TestASilentServerIsGivenUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody speaks
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	g := netguard.New(netguard.Config{PeerCIDRs: loopback(), DialTimeout: 50 * time.Millisecond})
	_, err = get(t, g.Transport(netguard.Peer, netguard.TLS{}), "https://"+ln.Addr().String()+"/")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}
