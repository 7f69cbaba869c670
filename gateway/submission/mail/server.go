package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Source gives the Handler of the moment, nil = nothing is served now (421), and release, never nil, to be called when the Handler
// is done with.
type Source func() (h *Handler, release func())

// Server speaks SMTP on one listener, over every change of configuration: EHLO with STARTTLS, AUTH PLAIN and LOGIN, SIZE,
// 8BITMIME, SMTPUTF8, DSN (RFC 3461) and PIPELINING. Each connection keeps the bounds it began with.
type Server struct {
	cfg    ServerConfig
	ctx    context.Context // of the mail being taken
	cancel context.CancelFunc
	past   *memory
	bytes  budget

	mu      sync.Mutex
	ln      net.Listener
	conns   map[*conn]struct{}
	closing bool
	wg      sync.WaitGroup // connections, and mail being taken
}

// ServerConfig of a Server.
type ServerConfig struct {
	Source Source
	TLS    func() *tls.Config // for STARTTLS; nil result = it is not offered
	Log    *slog.Logger       // nil = discard
}

// The bounds of time on a connection.
const (
	strangerTimeout = time.Minute      // from connecting to having proven who one is
	commandTimeout  = 5 * time.Minute  // RFC 5321 §4.5.3.2.7
	blockTimeout    = 3 * time.Minute  // between two pieces of a mail, RFC 5321 §4.5.3.2.5
	mailTimeout     = 15 * time.Minute // for all of it
	takeTimeout     = 5 * time.Minute  // for delivering it
	writeTimeout    = time.Minute
)

// maxLine bounds a line in octets: of AUTH (RFC 4954 §4) as of a mail.
const maxLine = 12288

// NewServer makes a Server. AUTH is offered over TLS, and from loopback.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, past: newMemory(), conns: make(map[*conn]struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve serves until the listener is closed or Shutdown is called; after Shutdown it returns nil. It may be called once.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.ln = ln
	closing := s.closing
	s.mu.Unlock()
	if closing {
		return ln.Close()
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closing && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		s.accept(&conn{Conn: c})
	}
}

func (s *Server) accept(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = c.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		defer func() {
			_ = c.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, c)
		}()
		s.converse(c)
	})
}

// converse speaks with one client until the connection ends: in clear, and after STARTTLS once more from the beginning.
func (s *Server) converse(c *conn) {
	c.until(time.Now().Add(strangerTimeout))
	h, release := s.cfg.Source()
	if h == nil {
		release()
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = fmt.Fprint(c, "421 4.3.2 no mail is taken here now\r\n")
		return
	}
	host, bounds := h.gateway().Host, *h.bounds()
	release()
	offered := s.cfg.TLS()
	clear := newPhase(c)
	s.speak(c, clear, host, bounds, offered)
	if !clear.upgrading {
		return
	}
	safe := newPhase(tls.Server(c, offered))
	safe.secure = true
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	s.speak(c, safe, host, bounds, nil) // the first read shakes hands
}

// speak runs the library on one phase of a connection. It cannot change its bounds while it serves, so every phase has
// an smtp.Server of its own.
func (s *Server) speak(c *conn, p *phase, host string, bounds snapshot.SMTPSubmission, offered *tls.Config) {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c, phase: p}, nil
	}))
	server.Domain = host
	server.MaxMessageBytes, server.MaxRecipients = bounds.MaxMessageBytes, bounds.MaxRecipients
	server.MaxLineLength = maxLine
	server.ReadTimeout, server.WriteTimeout = commandTimeout, writeTimeout
	server.TLSConfig = offered
	server.AllowInsecureAuth = true // the session decides
	server.EnableSMTPUTF8, server.EnableDSN = true, true
	server.ErrorLog = libraryLog{s.cfg.Log}
	_ = server.Serve(p)
	_ = server.Shutdown(context.Background()) // the phase is over; this waits for its goroutine
}

// begin says whether a mail may still be taken. Balance true with done.
func (s *Server) begin(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	c.busy = true
	return true
}

func (s *Server) done(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.busy = false
	if s.closing {
		c.end(time.Now())
	}
	s.wg.Done()
}

// Shutdown accepts no more and waits for mail under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	if s.ln != nil {
		_ = s.ln.Close()
	}
	for c := range s.conns {
		if !c.busy {
			c.end(time.Now())
		}
	}
	s.mu.Unlock()
	defer s.cancel()

	finished := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	<-finished
	return ctx.Err()
}

// libraryLog is where the SMTP library tells of connections that broke, and of panics, which are bugs.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	level := slog.LevelDebug
	if strings.HasPrefix(format, "panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "smtp", "message", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) { l.log.Debug("smtp", "message", fmt.Sprint(v...)) }

// budget counts the octets of mail in memory.
type budget struct {
	mu   sync.Mutex
	used int64
}

// take counts n more in, unless that makes more than limit.
func (b *budget) take(n, limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > limit {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}
