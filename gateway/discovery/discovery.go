// Package discovery finds the iSchedule Receiver of a domain and its capabilities: SRV and TXT, the
// well-known URI with its redirects, the capabilities document (D05 §4, §5). IS-DISC, IS-CAP-5, IS-CAP-8.
package discovery

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// ErrNoService means that the domain has no iSchedule Receiver: final (5.2 or the fallback).
var ErrNoService = errors.New("no iSchedule service")

// ErrTemporary wraps failures that may go away: DNS trouble, connections, 5xx.
var ErrTemporary = errors.New("temporary discovery failure")

// DNS is what discovery asks of DNS.
type DNS interface {
	LookupSRV(ctx context.Context, name string) ([]resolver.SRV, resolver.Answer, error)
	LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error)
}

// Receiver is a found iSchedule Receiver: where messages are posted, how it is reached, what it takes.
// Two recipients share a request when their Receivers have the same Key (IS-SEND-1).
type Receiver struct {
	URL          string // where capabilities ended (IS-DISC-4)
	Capabilities *ischedule.Capabilities
	Key          string
	Source       string   // "policy", "srv", "srv-parent", "well-known": for logs and tools
	Steps        []string // what was asked and answered, one line each, for `check`-like tools

	origin   string // scheme://host:port that discovery named: Authorization goes only there
	client   *http.Client
	outbound *snapshot.Outbound
}

// Config of a Discoverer.
type Config struct {
	DNS       DNS
	Guard     *netguard.Guard
	Options   snapshot.Discovery
	Rand      func(n int) int  // nil = math/rand/v2
	Now       func() time.Time // nil = time.Now
	UserAgent string
}

// Discoverer finds receivers and caches their capabilities. Safe for concurrent use; Close ends idle connections.
type Discoverer struct{ cfg Config }

// New makes a Discoverer.
func New(cfg Config) *Discoverer { return &Discoverer{cfg: cfg} }

// Find returns the receiver for a domain under the outbound settings of the policy that covers it (nil = none).
// Targets that cannot be reached are skipped for the next one. Errors wrap ErrNoService or ErrTemporary, or are
// *netguard.RefusedError.
func (d *Discoverer) Find(ctx context.Context, domain string, out *snapshot.Outbound) (*Receiver, error) {
	panic("CONTRACT STUB")
}

// Post sends a signed request to the receiver and returns the status, header and bounded body of the answer (at most 16 MiB).
// It re-POSTs a redirected request on the same host only (IS-DISC-4), and notes iSchedule-Capabilities: a serial
// that differs makes the next Find reload (IS-CAP-5). It adds nothing to header.
func (d *Discoverer) Post(ctx context.Context, r *Receiver, header http.Header, body []byte) (*Answer, error) {
	panic("CONTRACT STUB")
}

// Answer is what a receiver said to a POST.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Close closes idle connections.
func (d *Discoverer) Close() { panic("CONTRACT STUB") }
