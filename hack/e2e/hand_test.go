//go:build e2e

package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/hack/calendartest"
)

// listening waits until connections to the addresses are taken, all at once: nodes hear a little later than status of who answers at a
// Service.
func (g *ground) listening(t testing.TB, addresses ...string) {
	t.Helper()
	var last error
	g.until(t, strings.Join(addresses, " and ")+" take connections", func() string { return openOr(last) }, func(ctx context.Context) bool {
		for _, address := range addresses {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if last = err; err != nil {
				return false
			}
			_ = conn.Close()
		}
		return true
	})
}

// reaches waits until each pod of the gateway called edge delivers an invitation: each node hears at its own time of who answers at a
// Service, and a pod remembers for a second that nobody did.
func (g *ground) reaches(t testing.TB, namespace, submitHost, token, from, to string) {
	t.Helper()
	var last string
	g.until(t, "all pods of "+namespace+" reach "+to, func() string { return last }, func(ctx context.Context) bool {
		pods := g.gatewayPods(ctx, t, namespace)
		for i := range pods {
			if !podReady(&pods[i]) {
				last = pods[i].Name + " is not ready"
				return false
			}
			_, status := g.hand(ctx, submitHost, pods[i].Status.PodIP, token, from, to)
			if last = pods[i].Name + ": " + status; status != ischedule.StatusDelivered.String() {
				return false
			}
		}
		return len(pods) > 0
	})
}

var handed atomic.Int64

// hand hands an invitation to the submit listener of a gateway, and returns its UID and what is said of it: the request-status, or what
// came instead.
func (g *ground) hand(ctx context.Context, host, ip, token, from, to string) (uid, status string) {
	uid = fmt.Sprintf("handed-%d-%d", time.Now().UnixNano(), handed.Add(1))
	body := calendartest.Request(calendartest.Meeting(uid, "handed", calendartest.Day, from, to))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+":8080/", strings.NewReader(body))
	if err != nil {
		return uid, err.Error()
	}
	req.Header.Set(ischedule.HeaderVersion, ischedule.Version)
	req.Header.Set(ischedule.HeaderOriginator, "mailto:"+from)
	req.Header.Set(ischedule.HeaderRecipient, "mailto:"+to)
	req.Header.Set("Content-Type", "text/calendar; charset=utf-8; component=VEVENT; method=REQUEST")
	req.Header.Set("Authorization", "Bearer "+token)
	code, text, err := g.request(req, net.JoinHostPort(ip, "8080"))
	if err != nil {
		return uid, err.Error()
	}
	if answer, err := ischedule.ReadResponse(text); err == nil && code == http.StatusOK && len(answer.Results) == 1 {
		return uid, answer.Results[0].Status.String()
	}
	return uid, fmt.Sprintf("%d %s", code, text)
}

// request makes a request at an address, whatever DNS says.
func (g *ground) request(req *http.Request, address string) (int, []byte, error) {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: g.CA.Pool(), MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, text, err
}
