// Package podtls makes the certificates with which the control plane and the gateway pods know each other at the pods' status
// listener: a certificate authority for each gateway, whose key only the control plane has; one server certificate that all
// pods of the gateway share; and short-lived client certificates of the control plane.
//
// It is pure: bytes in, bytes out.
package podtls

import "time"

// ServerName is the name in the server certificate of a gateway's pods: clients ask for it, whatever address they dial.
func ServerName(namespace, gateway string) string { panic("not written yet") }

// Authority is a certificate authority: PEM.
type Authority struct{ Certificate, Key []byte }

// NewAuthority makes one, valid for ten years.
func NewAuthority(namespace, gateway string, now time.Time) (Authority, error) {
	panic("not written yet")
}

// Pair is a certificate with its key: PEM.
type Pair struct{ Certificate, Key []byte }

// Server issues the certificate of the pods, valid for 90 days.
func (a Authority) Server(namespace, gateway string, now time.Time) (Pair, error) {
	panic("not written yet")
}

// Client issues a certificate for the control plane, valid for a day.
func (a Authority) Client(now time.Time) (Pair, error) { panic("not written yet") }

// RenewAfter says when a certificate should be replaced: after two thirds of its life. The zero time means now: it cannot be
// read, or is not of this authority.
func (a Authority) RenewAfter(certificate []byte) time.Time { panic("not written yet") }
