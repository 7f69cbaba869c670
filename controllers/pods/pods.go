// Package pods asks gateway pods what they serve, over mutual TLS, at their status listener.
package pods

import (
	"context"
	"net/netip"

	"github.com/calfed/calfed/controllers/podtls"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Port of the status listener of every gateway pod.
const Port = 8443 + 1

// Client asks the pods of one gateway. Safe for concurrent use.
type Client struct{}

// NewClient makes a Client that trusts the authority, and shows the client certificate.
func NewClient(namespace, gateway string, authority []byte, client podtls.Pair) (*Client, error) {
	panic("not written yet")
}

// Status asks a pod. The error says why it cannot be had: "unreachable: …".
func (c *Client) Status(ctx context.Context, pod netip.Addr) (snapshot.PodStatus, error) {
	panic("not written yet")
}

// Backend asks a pod whether it reaches the back end of a domain.
func (c *Client) Backend(ctx context.Context, pod netip.Addr, domain string) (snapshot.BackendReport, error) {
	panic("not written yet")
}

// Close closes idle connections.
func (c *Client) Close() { panic("not written yet") }
