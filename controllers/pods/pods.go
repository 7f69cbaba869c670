// Package pods asks gateway pods what they serve, over mutual TLS, at their status listener.
//
// A pod faces the internet: what it answers is bounded, and believed only about itself.
package pods

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/calfed/calfed/controllers/podtls"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Port of the status listener of every gateway pod.
const Port = 8443 + 1

// Bounds of what a pod may say.
const (
	maxStatus   = 256 << 10 // 256 shards and 16 rejections fit well
	maxText     = 512       // of a problem
	maxRejected = 16
	maxHeader   = 16 << 10
)

// Client asks the pods of one gateway. Safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient makes a Client that trusts the authority, and shows the client certificate.
func NewClient(namespace, gateway string, authority []byte, client podtls.Pair) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("authority of the pods: no certificate in it")
	}
	pair, err := tls.X509KeyPair(client.Certificate, client.Key)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return &Client{&http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{
				MinVersion:   tls.VersionTLS13,
				RootCAs:      roots,
				ServerName:   podtls.ServerName(namespace, gateway),
				Certificates: []tls.Certificate{pair},
			},
			MaxConnsPerHost:        2,
			IdleConnTimeout:        90 * time.Second, // longer than the time between two questions
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Status asks a pod. The error says why it cannot be had: "unreachable: …".
func (c *Client) Status(ctx context.Context, pod netip.Addr) (snapshot.PodStatus, error) {
	var status snapshot.PodStatus
	if err := c.ask(ctx, http.MethodGet, pod, "/status", nil, &status); err != nil {
		return snapshot.PodStatus{}, err
	}
	if len(status.Shards) > snapshot.Shards {
		return snapshot.PodStatus{}, fmt.Errorf("unreachable: it says that it serves %d shards", len(status.Shards))
	}
	status.Blind = printable(status.Blind)
	status.Rejected = status.Rejected[:min(len(status.Rejected), maxRejected)]
	for i := range status.Rejected {
		r := &status.Rejected[i]
		r.Secret, r.Problem = printable(r.Secret), printable(r.Problem)
	}
	return status, nil
}

// Backend asks a pod whether it reaches the back end of a domain.
func (c *Client) Backend(ctx context.Context, pod netip.Addr, domain string) (snapshot.BackendReport, error) {
	var report snapshot.BackendReport
	if err := c.ask(ctx, http.MethodPost, pod, "/backend", url.Values{"domain": {domain}}, &report); err != nil {
		return snapshot.BackendReport{}, err
	}
	if report.Domain != domain {
		return snapshot.BackendReport{}, errors.New("unreachable: it speaks of another domain")
	}
	report.Problem = printable(report.Problem)
	return report, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) ask(ctx context.Context, method string, pod netip.Addr, path string, query url.Values, answer any) error {
	target := url.URL{Scheme: "https", Host: netip.AddrPortFrom(pod, Port).String(), Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return fmt.Errorf("unreachable: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("unreachable: %s", cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("unreachable: it answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	switch {
	case err != nil:
		return fmt.Errorf("unreachable: %s", cause(err))
	case len(b) > maxStatus:
		return fmt.Errorf("unreachable: it answers more than %d bytes", maxStatus)
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return errors.New("unreachable: its answer is no JSON of ours")
	}
	return nil
}

// cause is an error without what changes from one try to the next, such as ports: conditions repeat it.
func cause(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "its certificate is not of the gateway's authority"
	}
	return innermost(err)
}

// innermost is the last error of the chain: "connection refused".
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return printable(err.Error())
		}
		err = next
	}
}

// printable makes text of a pod fit for a condition: one line, not too long.
func printable(s string) string {
	runes := []rune(s)
	for i, r := range runes {
		if r < ' ' || r == 0x7f {
			runes[i] = ' '
		}
	}
	if len(runes) > maxText {
		runes = append(runes[:maxText-1], '…')
	}
	return string(runes)
}
