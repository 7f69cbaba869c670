package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// idleTimeout is how long a connection is kept: less than the minute after which gateways close one, or a message might
// meet the end of its connection.
const idleTimeout = 30 * time.Second

// poster sends messages. Its try is a load.Try.
type poster struct {
	url                   *url.URL
	originator, recipient cua.Address
	invitation            invitation
	signer                *dkim.Signer // nil = unsigned
	authorization         string       // "" = none
	domain                string       // of UIDs
	share                 float64      // of messages with a connection of their own
	kept, fresh           *http.Transport
}

// poster makes one that neither signs nor authenticates.
func (o *options) poster() (*poster, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &poster{share: o.fresh}
	var err error
	if p.url, err = url.Parse(o.url); err != nil || (p.url.Scheme != "https" && p.url.Scheme != "http") || p.url.Host == "" {
		return nil, errors.New("--url: want an https or http URL")
	}
	if p.originator, err = cua.Parse(o.originator); err != nil {
		return nil, fmt.Errorf("--originator: %w", err)
	}
	if p.recipient, err = cua.Parse(o.recipient); err != nil {
		return nil, fmt.Errorf("--recipient: %w", err)
	}
	var roots *x509.CertPool // nil = the system's
	if o.ca != "" {
		data, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("--ca: %s holds no certificate", o.ca)
		}
	}
	p.invitation = newInvitation(p.originator, p.recipient, time.Now())
	dial := newPorts(net.Dialer{Timeout: o.timeout}).DialContext
	p.kept, p.fresh = o.transport(roots, dial), o.transport(roots, dial)
	p.fresh.DisableKeepAlives = true
	return p, nil
}

// transport makes connections of HTTP/1.1: behind one address those of HTTP/2 would all be one, to one pod. Every
// handshake is a full one, so that a certificate that is not good is seen.
func (o *options) transport(roots *x509.CertPool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if o.address != "" {
				address = o.address
			}
			return dial(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:    o.timeout,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    o.inFlight,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// try implements load.Try.
//
// On a kept connection that the gateway has closed before anything was written, net/http takes another one by itself: nothing
// was sent then.
func (p *poster) try(ctx context.Context, m load.Message) (remote string, err error) {
	body := p.invitation.body(m.ID + "@" + p.domain)
	h, err := p.header(m, body)
	if err != nil {
		return "", err
	}
	var connected net.Addr
	kept := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { connected, kept = info.Conn.RemoteAddr(), info.Reused },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header = h
	err = p.post(req, p.ownConnection(m.Number))
	if err != nil && connected != nil {
		remote = connected.String()
	}
	if err != nil && kept {
		err = fmt.Errorf("%s: %w", load.OnKept, err)
	}
	return remote, err
}

// ownConnection says whether message n has a connection of its own: so that, whatever n, the share of those up to it is kept.
func (p *poster) ownConnection(n int) bool {
	return int(float64(n)*p.share) > int(float64(n-1)*p.share)
}

// header makes the signed header of a try.
func (p *poster) header(m load.Message, body []byte) (http.Header, error) {
	h := http.Header{
		ischedule.HeaderVersion:    {ischedule.Version},
		ischedule.HeaderMessageID:  {m.ID},
		ischedule.HeaderOriginator: {p.originator.URI()},
		ischedule.HeaderRecipient:  {p.recipient.URI()},
		"Cache-Control":            {"no-cache, no-transform"},
		"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
		"User-Agent":               {"calfed-load-peer"},
	}
	if p.authorization != "" {
		h.Set("Authorization", p.authorization)
	}
	if p.signer != nil {
		signature, err := p.signer.Sign(h, body, time.Now())
		if err != nil {
			return nil, err
		}
		h.Set(ischedule.HeaderDKIMSignature, signature)
	}
	return h, nil
}

// maxAnswer bounds an answer: one recipient's, or an error.
const maxAnswer = 64 << 10

func (p *poster) post(req *http.Request, fresh bool) error {
	transport := p.kept
	if fresh {
		transport = p.fresh
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("HTTP status %d, then %w", resp.StatusCode, err)
	}
	return judge(resp.StatusCode, body, p.recipient)
}

// judge says why an answer is no good one: HTTP status 200 and request-status 2.x for the recipient.
func judge(status int, body []byte, recipient cua.Address) error {
	const show = 200 // octets of what a gateway says
	if status != http.StatusOK {
		said := string(body)
		if refusal, ok := ischedule.ReadError(status, body); ok {
			said = string(refusal.Name) + " " + refusal.Description
		}
		return fmt.Errorf("HTTP status %d: %s", status, ischedule.OneLine(said, show))
	}
	response, err := ischedule.ReadResponse(body)
	if err != nil {
		return err
	}
	for _, r := range response.Results {
		if a, err := cua.Parse(r.Recipient); err != nil || !a.Equal(recipient) {
			continue
		}
		if len(r.Status.Code) > 1 && r.Status.Code[:2] == "2." {
			return nil
		}
		return fmt.Errorf("request-status %s", ischedule.OneLine(r.Status.String()+" "+r.Description, show))
	}
	return errors.New("the answer leaves the recipient out")
}
