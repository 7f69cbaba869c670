// Package ischedule delivers to a calendar server's own iSchedule endpoint (IS-BACK-1): Cyrus, DAViCal and others take
// unsigned messages from a host they trust.
package ischedule

import (
	"context"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Backend posts to one endpoint.
type Backend struct{}

// New makes a Backend. Connections obey the guard's backend rules.
func New(cfg snapshot.ISchedule, guard *netguard.Guard, userAgent string) (*Backend, error) {
	panic("CONTRACT STUB")
}

// Deliver implements backend.Backend.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	panic("CONTRACT STUB")
}

// Close implements backend.Backend.
func (b *Backend) Close() {}
