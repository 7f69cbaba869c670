// Package submission is how local calendar systems hand us messages: the iSchedule form over HTTP, by a submitter that
// proves itself with a bearer token or a client certificate. A network address alone never authorises. IS-SUB-1.
package submission

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Sender is what submission hands messages to; *sender.Sender implements it.
type Sender interface {
	Send(ctx context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error)
}

// Config of a Handler.
type Config struct {
	Active *snapshot.Active
	Sender Sender
	Log    *slog.Logger // nil = discard
}

// Handler serves the submit listener: POST of the iSchedule form, GET of capabilities, at WellKnownPath and "/".
type Handler struct{ cfg Config }

// New makes a Handler.
func New(cfg Config) (*Handler, error) { panic("CONTRACT STUB") }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { panic("CONTRACT STUB") }

// ClientAuth says whether any submitter uses client certificates, and how the listener must ask for them: requested, never required;
// the Handler verifies.
func (h *Handler) ClientAuth() tls.ClientAuthType { panic("CONTRACT STUB") }
