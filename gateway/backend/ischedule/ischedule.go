// Package ischedule delivers to a calendar server's own iSchedule endpoint (IS-BACK-1): Cyrus, DAViCal and others take
// unsigned messages from a host they trust. The body goes out as it came (IS-RECV-11).
//
// It signs nothing, reads no capabilities, and keeps nothing between deliveries but which server it talks to: which
// messages may go there is decided before, and what fails for now is tried again by the sending side.
package ischedule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Backend posts to one endpoint. Safe for concurrent use.
type Backend struct {
	endpoint  *url.URL
	userAgent string
	transport *http.Transport
	echoes    backend.Echoes
	dialect   atomic.Pointer[dialect] // nil until the server was asked
}

// New makes a Backend. Connections obey the guard's backend rules. The URL is http or https, without credentials. echoes hears
// of every message that changes a calendar (nil = nobody does): the server answers invitations by itself.
func New(cfg snapshot.ISchedule, guard *netguard.Guard, userAgent string, echoes backend.Echoes) (*Backend, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, errors.New("iSchedule back end: not a URL") // url's own error repeats it, credentials and all
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.Fragment != "":
		return nil, fmt.Errorf("iSchedule back end: %q is no http or https URL of a host", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return &Backend{
		endpoint: u, userAgent: userAgent, transport: guard.Transport(netguard.Backend, netguard.TLS{}), echoes: echoes,
	}, nil
}

// Deliver implements backend.Backend. The answer of the calendar server is read per recipient: in any order, with or
// without mailto:, ignoring recipients nobody asked for; a missing one gets 5.1.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	h := header(d, b.userAgent, b.spoken(ctx))
	d.NoteEchoes(b.echoes)
	status, body, err := b.post(ctx, h, d.Body)
	if err != nil {
		return nil, err
	}
	return results(d, status, body)
}

// Close implements backend.Backend.
func (b *Backend) Close() { b.transport.CloseIdleConnections() }
