package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/ischedule"
)

// wayOut is how a message of `send` and `freebusy` leaves: through a running gateway, or through the same sender in
// this process.
type wayOut struct {
	submit, tokenFile, ca string
	manifests             []string
	timeout               time.Duration
}

func (o *wayOut) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.submit, "submit", "", "`URL` of the submit listener of a running gateway")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` that holds the submitter's bearer token")
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` of the authorities to trust for --submit, in place of the system's")
	f.StringSliceVar(&o.manifests, "manifests", nil, "`DIR` with the resources to send by, in this process")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how long the whole exchange may take")
	cmd.MarkFlagsMutuallyExclusive("submit", "manifests")
	cmd.MarkFlagsMutuallyExclusive("token-file", "manifests")
	cmd.MarkFlagsOneRequired("submit", "manifests")
}

// send hands the message over. An *ischedule.Error is the gateway's refusal of all of it. What was sent in this process
// and did not arrive leaves its log lines in diary.
func (o *wayOut) send(ctx context.Context, req *ischedule.Request, diary io.Writer) (*ischedule.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if o.submit != "" {
		return o.post(ctx, req)
	}
	return sendInProcess(ctx, o.manifests, req, diary)
}

// maxAnswer bounds what is read from the gateway.
const maxAnswer = 64 << 20

// post submits to a running gateway.
func (o *wayOut) post(ctx context.Context, req *ischedule.Request) (*ischedule.Response, error) {
	target, err := submitURL(o.submit)
	if err != nil {
		return nil, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(req.Body))
	if err != nil {
		return nil, err
	}
	post.Header.Set(ischedule.HeaderVersion, ischedule.Version)
	post.Header.Set(ischedule.HeaderOriginator, req.Originator.URI())
	to := make([]string, len(req.Recipients))
	for i, a := range req.Recipients {
		to[i] = a.URI()
	}
	post.Header.Set(ischedule.HeaderRecipient, strings.Join(to, ","))
	post.Header.Set("Content-Type", "text/calendar; charset=utf-8; component="+req.Component+"; method="+req.Method)
	post.Header.Set("User-Agent", "calfed/"+version)
	if o.tokenFile != "" {
		token, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return nil, err
		}
		post.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(post)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return ischedule.ReadResponse(body)
	}
	if refusal, ok := ischedule.ReadError(answer.StatusCode, body); ok {
		return nil, refusal
	}
	return nil, fmt.Errorf("%s answered %s, which is no iSchedule answer", target, answer.Status)
}

// client trusts --ca and follows no redirect: the token is for this server.
func (o *wayOut) client() (*http.Client, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s: no certificate in it", o.ca)
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// submitURL checks --submit: https, or http to this very machine.
func submitURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("--submit: %w", err)
	}
	if u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("--submit %q: want a URL such as https://gw.example.org:8444", s)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return "", errors.New("--submit: plain http would send the token through the network in clear; use https")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// printable keeps what others wrote from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
