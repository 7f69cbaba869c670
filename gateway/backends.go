package gateway

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/caldav"
	backendimip "github.com/calfed/calfed/gateway/backend/imip"
	backendischedule "github.com/calfed/calfed/gateway/backend/ischedule"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
)

// BackendsConfig is what back ends are made with.
type BackendsConfig struct {
	Active    *snapshot.Active
	Before    *Backends // still open: what is configured alike is taken over, with its connections; nil = none
	Guard     *netguard.Guard
	Memory    map[string]backend.Backend // those of type Memory, by domain; never closed here
	Echoes    backend.Echoes             // nil = nobody is told
	Watch     *caldav.Watch              // nil = answers that a calendar server does not send stay where they are
	UserAgent string
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = discard
}

// Backends are the ways from a gateway to its calendar systems, by local domain. Close frees them.
type Backends struct {
	ByDomain  map[string]backend.Backend // domains that are configured alike share one
	Fallback  map[string]backend.Backend // the slower way of those that have one (IS-SEND-7)
	Smarthost *smarthost.Client          // nil = none

	cfg       BackendsConfig
	made      map[any]*sharedBackend // by configuration
	halves    map[split]*split
	fallbacks []backend.Backend
}

// sharedBackend is closed with the last Backends that has it.
type sharedBackend struct {
	backend.Backend
	users atomic.Int64
}

// NewBackends makes the back ends of a snapshot. It connects to nothing. On error nothing is left open.
func NewBackends(cfg BackendsConfig) (*Backends, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b := &Backends{
		ByDomain: make(map[string]backend.Backend), Fallback: make(map[string]backend.Backend),
		cfg: cfg, made: make(map[any]*sharedBackend), halves: make(map[split]*split),
	}
	err := b.make()
	b.cfg.Before = nil // nothing needs it any more
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close frees what was made here.
func (b *Backends) Close() {
	for _, f := range b.fallbacks {
		f.Close()
	}
	for _, m := range b.made {
		if m.users.Add(-1) == 0 {
			m.Close()
		}
	}
	b.fallbacks, b.made = nil, nil
}

func (b *Backends) make() error {
	s := b.cfg.Active.Snapshot
	if server := s.Gateway.Submission.Smarthost; server != nil {
		client, err := b.mailServer(server)
		if err != nil {
			return fmt.Errorf("gateway.submission.smarthost: %w", err)
		}
		b.Smarthost = client
	}
	for i := range s.Domains {
		d := &s.Domains[i]
		var err error
		if b.ByDomain[d.Name], err = b.ofDomain(d); err != nil {
			return fmt.Errorf("domain %s: %w", d.Name, err)
		}
		if d.Fallback != snapshot.FallbackIMIP {
			continue
		}
		if b.Fallback[d.Name], err = b.fallback(d); err != nil {
			return fmt.Errorf("domain %s: fallback: %w", d.Name, err)
		}
	}
	return nil
}

func (b *Backends) ofDomain(d *snapshot.Domain) (backend.Backend, error) {
	messages, err := b.of(d, &d.Backend)
	if err != nil {
		return nil, fmt.Errorf("back end: %w", err)
	}
	if d.FreeBusyBackend == nil {
		return messages, nil
	}
	freeBusy, err := b.of(d, d.FreeBusyBackend)
	if err != nil {
		return nil, fmt.Errorf("free/busy back end: %w", err)
	}
	both := split{messages, freeBusy}
	if b.halves[both] == nil {
		b.halves[both] = &both
	}
	return b.halves[both], nil
}

func (b *Backends) of(d *snapshot.Domain, configured *snapshot.Backend) (backend.Backend, error) {
	switch configured.Type {
	case snapshot.BackendISchedule:
		return b.once(*configured.ISchedule, func() (backend.Backend, error) {
			return backendischedule.New(*configured.ISchedule, b.cfg.Guard, b.cfg.UserAgent, b.cfg.Echoes)
		})
	case snapshot.BackendCalDAV:
		return b.once(*configured.CalDAV, func() (backend.Backend, error) {
			return caldav.New(caldav.Config{
				Server: *configured.CalDAV, Guard: b.cfg.Guard, Echoes: b.cfg.Echoes, Watch: b.cfg.Watch,
				UserAgent: b.cfg.UserAgent, Now: b.cfg.Now, Log: b.cfg.Log,
			})
		})
	case snapshot.BackendIMIP:
		return b.mail(configured.IMIP.Server)
	case snapshot.BackendMemory:
		own, ok := b.cfg.Memory[d.Name]
		if !ok {
			return nil, errors.New("no memory back end was given")
		}
		return own, nil
	}
	return nil, fmt.Errorf("no back end of type %q", configured.Type)
}

// once makes what was not made before for the same configuration.
func (b *Backends) once(configuration any, make func() (backend.Backend, error)) (backend.Backend, error) {
	if known := b.made[configuration]; known != nil {
		return known.Backend, nil
	}
	shared := b.before(configuration)
	if shared == nil {
		made, err := make()
		if err != nil {
			return nil, err
		}
		shared = &sharedBackend{Backend: made}
	}
	shared.users.Add(1)
	b.made[configuration] = shared
	return shared.Backend, nil
}

// before is what the Backends before made for the same configuration, if it also reached the world in the same way.
func (b *Backends) before(configuration any) *sharedBackend {
	if old := b.cfg.Before; old != nil && old.cfg.Guard == b.cfg.Guard && old.host() == b.host() {
		return old.made[configuration]
	}
	return nil
}

// mail makes the back end that a mail server is; nil = the smarthost.
func (b *Backends) mail(server *snapshot.SMTPServer) (backend.Backend, error) {
	if server == nil {
		server = b.cfg.Active.Snapshot.Gateway.Submission.Smarthost
	}
	if server == nil {
		return nil, errors.New("there is no mail server for it: neither its own nor a smarthost")
	}
	return b.once(*server, func() (backend.Backend, error) {
		client, err := b.mailServer(server)
		if err != nil {
			return nil, err
		}
		return backendimip.New(backendimip.Config{
			Sender: client, Host: b.host(), Proven: true, Echoes: b.cfg.Echoes, Now: b.cfg.Now, Log: b.cfg.Log,
		})
	})
}

func (b *Backends) fallback(d *snapshot.Domain) (backend.Backend, error) {
	if b.Smarthost == nil {
		return nil, errors.New("there is no smarthost")
	}
	made, err := backendimip.New(backendimip.Config{
		Sender: b.Smarthost, Host: b.host(), Sign: b.mailSignature(d), Now: b.cfg.Now, Log: b.cfg.Log,
	})
	if err == nil {
		b.fallbacks = append(b.fallbacks, made)
	}
	return made, err
}

func (b *Backends) mailServer(server *snapshot.SMTPServer) (*smarthost.Client, error) {
	return smarthost.New(*server, b.cfg.Guard, b.host())
}

func (b *Backends) host() string { return b.cfg.Active.Snapshot.Gateway.Host }

// mailSignature signs the domain's iMIP mail, by the key that signs its iSchedule messages; nil = it stays unsigned. The key is
// read at first use.
func (b *Backends) mailSignature(d *snapshot.Domain) func(mail []byte) ([]byte, error) {
	if !d.Signing.Mail {
		return nil
	}
	type signer struct {
		key     *snapshot.Key
		private crypto.Signer
	}
	read := sync.OnceValues(func() (signer, error) {
		key, private, err := sender.SigningKey(d)
		return signer{key, private}, err
	})
	return func(mail []byte) ([]byte, error) {
		by, err := read()
		if err != nil {
			return nil, err
		}
		return imip.Sign(mail, by.key.Domain, by.key.Selector, by.private)
	}
}

// split sends free/busy questions elsewhere than messages. Its halves are closed by who made them.
type split struct{ messages, freeBusy backend.Backend }

// Deliver implements backend.Backend.
func (s *split) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	if d.Message.Component == "VFREEBUSY" {
		return s.freeBusy.Deliver(ctx, d)
	}
	return s.messages.Deliver(ctx, d)
}

// Test implements backend.Tester: both halves, each as far as it can be tried.
func (s *split) Test(ctx context.Context, user cua.Address) (out []backend.Check) {
	for _, half := range []struct {
		name string
		b    backend.Backend
	}{{"messages", s.messages}, {"free/busy", s.freeBusy}} {
		tester, ok := half.b.(backend.Tester)
		if !ok {
			out = append(out, backend.Check{Name: half.name, Seen: "cannot be tried without sending something", Skipped: true})
			continue
		}
		for _, c := range tester.Test(ctx, user) {
			c.Name = half.name + ": " + c.Name
			out = append(out, c)
		}
	}
	return out
}

// Reach implements backend.Reacher: the first half that cannot be reached.
func (s *split) Reach(ctx context.Context) backend.Check {
	c := reach(ctx, s.messages)
	if !c.OK {
		return c
	}
	c = reach(ctx, s.freeBusy)
	c.Name = "free/busy: " + c.Name
	return c
}

// Close implements backend.Backend.
func (s *split) Close() {}
