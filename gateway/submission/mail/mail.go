// Package mail is the SMTP way in (IS-SUB-2): local calendar systems and the organisation's own MX hand us mail, authenticated. The
// iTIP message in it goes to iSchedule; all other mail, and recipients without iSchedule, go to the smarthost byte for byte.
//
// It keeps no queue: the answer to DATA says 250 only when every recipient was delivered, handed to the smarthost, or
// reported in a notification that the smarthost took. Otherwise 4yz, and the client tries again.
package mail

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

// Authenticator knows submitters by password; *submission.Handler implements it.
type Authenticator interface {
	Password(source netip.Addr, username, password string) (acting []submission.Acting, wait time.Duration)
}

// Relay takes mail; *smarthost.Client implements it.
type Relay interface {
	Send(ctx context.Context, e *smarthost.Envelope, mail []byte) error
}

// Outbound sends iTIP of local users; *sender.Sender implements it.
type Outbound interface {
	Send(ctx context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error)
}

// Inbound delivers proven iTIP of strangers to local users; *receiver.Receiver implements it.
type Inbound interface {
	Mail(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error)
}

// Config is one snapshot's worth of parts.
type Config struct {
	Active   *snapshot.Active
	Auth     Authenticator
	Outbound Outbound
	Inbound  Inbound
	Relay    Relay // nil = mail is refused with 4yz: there is no smarthost
	Verifier *imip.Verifier
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = discard
}

// Handler decides what becomes of a mail. Immutable, safe for concurrent use.
type Handler struct{ cfg Config }

// New makes a Handler.
func New(cfg Config) (*Handler, error) { panic("not written yet") }

// Source gives the Handler of the moment; release is called when the mail is done with. nil Handler = nothing is served now (421).
type Source func() (h *Handler, release func())

// Server speaks SMTP on one listener, over every change of configuration.
type Server struct{}

// ServerConfig of a Server.
type ServerConfig struct {
	Source Source
	TLS    func() *tls.Config // for STARTTLS; nil result = not now
	Log    *slog.Logger
}

// NewServer makes a Server. AUTH is offered over TLS, and from loopback.
func NewServer(cfg ServerConfig) *Server { panic("not written yet") }

// Serve serves until the listener is closed or Shutdown is called.
func (s *Server) Serve(ln net.Listener) error { panic("not written yet") }

// Shutdown accepts no more and waits for mail under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { panic("not written yet") }
