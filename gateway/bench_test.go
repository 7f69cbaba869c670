package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The inbound benchmark measures the processor time of a server process, not of the client that loads it: the test binary starts
// itself as the server, and the client reads the child's times from /proc. Two servers take the same load in one run:
//
//	baseline  a bare net/http TLS server that reads the body, hashes it and does one RSA-2048 verify
//	gateway   the whole gateway: limits, signature, policy, iCalendar, iTIP, replay memory, a back end that says 2.0
//
// The figure to compare is req/cpu-s.

const benchServerEnv = "CALFED_BENCH_SERVER"

func BenchmarkInbound(b *testing.B) {
	for _, size := range []int{2 << 10, 100 << 10} {
		for _, algorithm := range []string{"RSA-2048", "Ed25519"} {
			signer, record := benchKey(b, algorithm)
			for _, server := range []string{"baseline", "gateway"} {
				b.Run(fmt.Sprintf("%s/%dKB/%s", algorithm, size>>10, server), func(b *testing.B) {
					benchInbound(b, server, signer, record, size)
				})
			}
		}
	}
}

func benchInbound(b *testing.B, server string, signer *dkim.Signer, record string, size int) {
	child := startBenchServer(b, server, record)
	requests := signedRequests(b, signer, child.addr, size, b.N)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 16, MaxConnsPerHost: 16,
	}}
	defer client.CloseIdleConnections()

	cpu := child.cpu(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := w; i < len(requests); i += 2 {
				resp, err := client.Do(requests[i])
				if err != nil {
					b.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK || (server == "gateway" && !bytes.Contains(body, []byte("2.0"))) {
					b.Errorf("%d: %s", resp.StatusCode, body)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	used := child.cpu(b) - cpu
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/req")
	if used > 0 {
		b.ReportMetric(float64(b.N)/used.Seconds(), "req/cpu-s")
	}
}

// signedRequests makes n different messages of about size bytes.
func signedRequests(b *testing.B, signer *dkim.Signer, addr string, size, n int) []*http.Request {
	b.Helper()
	out := make([]*http.Request, n)
	now := time.Now()
	var wg sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := w; i < n; i += runtime.GOMAXPROCS(0) {
				body := benchInvitation(i, size)
				req, err := http.NewRequest(http.MethodPost, "https://"+addr+ischedule.WellKnownPath, bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header = http.Header{
					ischedule.HeaderVersion:    {ischedule.Version},
					ischedule.HeaderMessageID:  {fmt.Sprintf("bench-%d-%d", now.UnixNano(), i)},
					ischedule.HeaderOriginator: {"mailto:carol@sender.example"},
					ischedule.HeaderRecipient:  {"mailto:alice@example.org"},
					"Cache-Control":            {"no-cache, no-transform"},
					"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
				}
				value, err := signer.Sign(req.Header, body, now)
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set(ischedule.HeaderDKIMSignature, value)
				out[i] = req
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return out
}

func benchInvitation(i, size int) []byte {
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//calfed//bench//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:bench-%d@sender.example\r\n"+
		"DTSTAMP:20261122T110000Z\r\nDTSTART:20261125T140000Z\r\nDTEND:20261125T150000Z\r\nSUMMARY:Bench\r\nSEQUENCE:0\r\n"+
		"ORGANIZER:mailto:carol@sender.example\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example\r\n"+
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Alice:mailto:alice@example.org\r\n", i)
	for n := 0; buf.Len() < size-40; n++ {
		fmt.Fprintf(&buf, "X-AGENDA-%d;X-KIND=topic:What we talk about in part %d of the day\r\n", n, n)
	}
	buf.WriteString("END:VEVENT\r\nEND:VCALENDAR\r\n")
	return buf.Bytes()
}

func benchKey(b testing.TB, algorithm string) (*dkim.Signer, string) {
	b.Helper()
	var key crypto.Signer
	var err error
	if algorithm == "Ed25519" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		b.Fatal(err)
	}
	record, err := dkim.FormatRecord(key.Public(), false)
	if err != nil {
		b.Fatal(err)
	}
	return &dkim.Signer{Domain: "sender.example", Selector: "bench", Key: key, Lifetime: time.Hour}, record
}

// benchServer is the child process.
type benchServer struct {
	pid  int
	addr string
}

func startBenchServer(b *testing.B, kind, record string) benchServer {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestBenchServer$", "-test.v=false")
	cmd.Env = append(os.Environ(), benchServerEnv+"="+kind, "CALFED_BENCH_RECORD="+record)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("bench server: %v", err)
	}
	return benchServer{pid: cmd.Process.Pid, addr: strings.TrimSpace(line)}
}

// cpu is the user and system time that the child has used: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms.
func (s benchServer) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Skipf("no /proc to read processor times from: %v", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestBenchServer is the child process of BenchmarkInbound; in an ordinary run it only checks that both servers start.
func TestBenchServer(t *testing.T) {
	kind := os.Getenv(benchServerEnv)
	if kind == "" {
		_, record := benchKey(t, "Ed25519")
		for _, k := range []string{"baseline", "gateway"} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			addr := make(chan string, 1)
			go func() { defer close(done); serveBench(ctx, t, k, record, addr) }()
			<-addr
			cancel()
			<-done
		}
		return
	}
	addr := make(chan string, 1)
	go func() { fmt.Println(<-addr) }()
	serveBench(context.Background(), t, kind, os.Getenv("CALFED_BENCH_RECORD"), addr)
}

func serveBench(ctx context.Context, t *testing.T, kind, record string, addr chan<- string) {
	if kind == "baseline" {
		serveBaseline(ctx, t, addr)
		return
	}
	certificate, key := benchCertificate(t)
	g := gateway.New(gateway.Options{
		PublicAddr: "127.0.0.1:0",
		Memory:     map[string]backend.Backend{"example.org": accepting{}},
	})
	err := g.Apply(&snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/bench", Host: "localhost",
			TLS: snapshot.KeyPair{Certificate: certificate, Key: key},
			Capabilities: ischedule.Capabilities{
				Serial: 1, Versions: []string{ischedule.Version},
				Messages:      []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes:     []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				MaxRecipients: 100, MaxContentLength: 1 << 20, MaxInstances: 1000, Administrator: "mailto:postmaster@example.org",
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
			},
			DefaultAction: snapshot.Deny,
			Limits: snapshot.Limits{
				MaxConnections: 1000, MaxConnsPerSource: 1000, RequestsPerSource: 1e6,
				KeyLookupsPerSource: 1e6, KeyLookupsPerDomain: 1e6, KeyLookups: 1e6,
				MaxHeaderBytes: 64 << 10, MaxInFlightBytes: 256 << 20,
				HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, DeliveryTimeout: 20 * time.Second,
			},
		},
		Domains: []snapshot.Domain{{
			Name: "example.org", Source: "default/example-org",
			Backend: snapshot.Backend{Type: snapshot.BackendMemory}, Policies: []string{"default/sender"},
		}},
		Policies: []snapshot.Policy{{
			ID: "default/sender", Peers: []string{"sender.example"}, Action: snapshot.Allow,
			Inbound: snapshot.Inbound{PinnedKeys: []snapshot.PinnedKey{{Selector: "bench", Record: record}}},
		}},
	})
	if err != nil {
		t.Errorf("Apply: %v", err)
		addr <- ""
		return
	}
	go func() {
		<-g.Started()
		addr <- g.Addrs().Public.String()
	}()
	if err := g.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// accepting is a back end that takes everything, so that the figure is the gateway's own.
type accepting struct{}

func (accepting) Deliver(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
	out := make([]backend.Result, len(d.Recipients))
	for i, r := range d.Recipients {
		out[i] = backend.Result{Recipient: r, Status: ischedule.StatusDelivered}
	}
	return out, nil
}

func (accepting) Close() {}

// serveBaseline is what any signed HTTPS service must at least do.
func serveBaseline(ctx context.Context, t *testing.T, addr chan<- string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Error(err)
		return
	}
	digest := sha256.Sum256([]byte("signed"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Error(err)
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		sum := sha256.Sum256(body)
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			http.Error(w, "signature", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString(sum[:]))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	addr <- server.Listener.Addr().String()
	<-ctx.Done()
}

func benchCertificate(t *testing.T) (certificate, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
