package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// wire stands on the way to one gateway, with a certificate of its own, and notes what passes: the demo shows it, and its
// villain plays it back.
type wire struct {
	server *http.Server
	addr   *net.TCPAddr
	target string // https://host:port of the gateway
	client *http.Client
	done   chan struct{}

	mu   sync.Mutex
	last *passed
}

// passed is one POST that went over the wire, and its answer.
type passed struct {
	path   string
	header http.Header
	body   []byte
	status int
	answer []byte
}

// newWire listens on loopback and passes everything on to the gateway at addr, known as host.
func newWire(ctx context.Context, certificate tls.Certificate, roots *x509.CertPool, host string, addr net.Addr) (*wire, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{addr: ln.Addr().(*net.TCPAddr), target: "https://" + addr.String(), done: make(chan struct{})}
	w.client = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: host},
			DisableCompression: true, // adds no field of its own
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	secure := tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}})
	go func() {
		defer close(w.done)
		_ = w.server.Serve(secure)
	}()
	return w, nil
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return
	}
	p, header, err := w.pass(req.Context(), req.Method, req.URL.RequestURI(), req.Header, body)
	if err != nil {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	if req.Method == http.MethodPost {
		w.mu.Lock()
		w.last = p
		w.mu.Unlock()
	}
	maps.Copy(rw.Header(), header)
	rw.WriteHeader(p.status)
	_, _ = rw.Write(p.answer)
}

// pass sends one request to the gateway.
func (w *wire) pass(ctx context.Context, method, path string, header http.Header, body []byte) (*passed, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.target+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header.Clone()
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, nil, err
	}
	return &passed{path: path, header: header.Clone(), body: body, status: resp.StatusCode, answer: answer}, resp.Header, nil
}

// play sends a request, recorded or made up, straight to the gateway: what somebody else could do.
func (w *wire) play(ctx context.Context, p *passed) (*passed, error) {
	again, _, err := w.pass(ctx, http.MethodPost, p.path, p.header, p.body)
	if err != nil {
		return nil, fmt.Errorf("the gateway gave no answer: %w", err)
	}
	return again, nil
}

// recorded is the last POST that went over the wire.
func (w *wire) recorded() *passed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *wire) close() {
	_ = w.server.Close()
	<-w.done
	w.client.CloseIdleConnections()
}
