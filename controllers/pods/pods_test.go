package pods_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/controllers/pods"
	"github.com/calfed/calfed/controllers/podtls"
	"github.com/calfed/calfed/gateway/snapshot"
)

// pod is a status listener at the port of them all, on a loopback address of its own.
type pod struct {
	addr   netip.Addr
	answer http.HandlerFunc
}

func authority(t *testing.T) podtls.Authority {
	t.Helper()
	ca, err := podtls.NewAuthority("calendars", "edge", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func startPod(t *testing.T, addr string, ca podtls.Authority, gateway string) *pod {
	t.Helper()
	p := &pod{addr: netip.MustParseAddr(addr)}
	pair, err := ca.Server("calendars", gateway, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca.Certificate)
	l, err := net.Listen("tcp", netip.AddrPortFrom(p.addr, pods.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.answer(w, r) }),
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return p
}

func newClient(t *testing.T, ca podtls.Authority) *pods.Client {
	t.Helper()
	pair, err := ca.Client(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, err := pods.NewClient("calendars", "edge", ca.Certificate, pair)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestStatus(t *testing.T) {
	ca := authority(t)
	p := startPod(t, "127.91.0.1", ca, "edge")
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/status" {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		fmt.Fprint(w, `{"indexUID":"u","serial":7,"shards":[{"number":3,"serial":6,"sha256":"x"}],"rejected":[{"secret":"edge-snap-003","problem":"two\nlines"}],"later":1}`)
	}
	got, err := newClient(t, ca).Status(t.Context(), p.addr)
	want := snapshot.PodStatus{
		IndexUID: "u", Serial: 7,
		Shards:   []snapshot.ShardRef{{Number: 3, Serial: 6, SHA256: "x"}},
		Rejected: []snapshot.Rejection{{Secret: "edge-snap-003", Problem: "two lines"}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err %v, -want +got:\n%s", err, diff)
	}
}

func TestBackend(t *testing.T) {
	ca := authority(t)
	p := startPod(t, "127.91.0.2", ca, "edge")
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/backend" {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		fmt.Fprintf(w, `{"domain":%q,"problem":"connection refused"}`, r.URL.Query().Get("domain"))
	}
	c := newClient(t, ca)
	got, err := c.Backend(t.Context(), p.addr, "example.org")
	if diff := cmp.Diff(snapshot.BackendReport{Domain: "example.org", Problem: "connection refused"}, got); err != nil || diff != "" {
		t.Errorf("err %v, -want +got:\n%s", err, diff)
	}
	p.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"domain":"example.net","ok":true}`) }
	if _, err := c.Backend(t.Context(), p.addr, "example.org"); err == nil {
		t.Error("an answer about another domain is taken")
	}
}

// What a pod does wrong is told in words that are the same each time, and costs no more than a bounded answer.
func TestPodsThatCannotBeAsked(t *testing.T) {
	ca := authority(t)
	p := startPod(t, "127.91.0.3", ca, "edge")
	strangers := startPod(t, "127.91.0.4", authority(t), "edge")
	strangers.answer = func(http.ResponseWriter, *http.Request) { t.Error("asked a stranger") }
	other := startPod(t, "127.91.0.5", ca, "other")
	other.answer = strangers.answer
	c := newClient(t, ca)
	rows := []struct {
		name, want string
		addr       netip.Addr
		answer     http.HandlerFunc
	}{
		{name: "nobody listens", addr: netip.MustParseAddr("127.91.0.9"), want: "unreachable: connection refused"},
		{name: "of another authority", addr: strangers.addr, want: "unreachable: its certificate is not of the gateway's authority"},
		{name: "of another gateway", addr: other.addr, want: "unreachable: its certificate is not of the gateway's authority"},
		{name: "an error", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, want: "unreachable: it answers 500"},
		{name: "a redirect", answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, want: "unreachable: it answers 302"},
		{name: "no JSON", answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, want: "unreachable: its answer is no JSON of ours"},
		{name: "endless", answer: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 4096)); err != nil {
					return
				}
			}
		}, want: "unreachable: it answers more than 262144 bytes"},
		{name: "too many shards", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"shards":[{}`+strings.Repeat(",{}", snapshot.Shards)+`]}`)
		}, want: "unreachable: it says that it serves 257 shards"},
		{name: "silent", answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: "unreachable: no answer in time"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			addr := row.addr
			if !addr.IsValid() {
				p.answer, addr = row.answer, p.addr
			}
			_, err := c.Status(ctx, addr)
			if err == nil || err.Error() != row.want {
				t.Errorf("error %v, want %s", err, row.want)
			}
		})
	}
}
