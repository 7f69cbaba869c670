package probe

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 10

// outside looks whether the calendar server behind the gateway answers strangers too: Cyrus's /ischedule.
func (r *run) outside(ctx context.Context, gateway *discovery.Receiver) {
	const path = "/ischedule"
	u, err := url.Parse(gateway.URL)
	if err != nil || u.Path == path {
		return // that is the receiver itself, and it was asked
	}
	ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
	defer cancel()
	transport := r.cfg.Guard.Transport(netguard.Peer, netguard.TLS{})
	defer transport.CloseIdleConnections()
	ask := func(ctx context.Context, method, query string, header http.Header, body []byte) (*discovery.Answer, error) {
		there := url.URL{Scheme: u.Scheme, Host: u.Host, Path: path, RawQuery: query}
		return exchange(ctx, transport, method, there.String(), header, body)
	}
	step := Step{Name: "back end", Verdict: OK, Expected: "the calendar server behind the gateway is not reached from outside", Seen: "nothing at " + path}
	answer, err := ask(ctx, http.MethodGet, "action=capabilities", http.Header{"User-Agent": {r.cfg.UserAgent}}, nil)
	if err == nil && answer.Status == http.StatusOK {
		if _, err := ischedule.ReadCapabilities(answer.Body); err == nil {
			step.Seen, step.Verdict, step.Cause = r.provoke(ctx, func(ctx context.Context, header http.Header, body []byte) (*discovery.Answer, error) {
				return ask(ctx, http.MethodPost, "", header, body)
			})
			step.Seen = "iSchedule at " + path + ", which answers an unsigned message with " + step.Seen
			if step.Verdict == OK {
				step.Verdict, step.Cause = Warning, "a second receiver answers there: let only the gateway reach it"
			}
		}
	}
	r.add(step)
}

// exchange is one request whose redirects are not followed.
func exchange(ctx context.Context, via http.RoundTripper, method, target string, header http.Header, body []byte) (*discovery.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := via.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &discovery.Answer{Status: resp.StatusCode, Header: resp.Header, Body: read}, nil
}
