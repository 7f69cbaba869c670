package gateway

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/caldav"
	backendimip "github.com/calfed/calfed/gateway/backend/imip"
	backendischedule "github.com/calfed/calfed/gateway/backend/ischedule"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
)

// backends makes the back end of every domain; domains that are configured alike share one.
func (g *Gateway) backends(gen *generation) (map[string]backend.Backend, error) {
	m := maker{g, gen, make(map[any]backend.Backend)}
	byDomain := make(map[string]backend.Backend)
	for i := range gen.active.Snapshot.Domains {
		d := &gen.active.Snapshot.Domains[i]
		b, err := m.backend(d, &d.Backend)
		if err != nil {
			return nil, fmt.Errorf("domain %s: back end: %w", d.Name, err)
		}
		if d.FreeBusyBackend != nil {
			freeBusy, err := m.backend(d, d.FreeBusyBackend)
			if err != nil {
				return nil, fmt.Errorf("domain %s: free/busy back end: %w", d.Name, err)
			}
			pair := split{messages: b, freeBusy: freeBusy}
			if m.made[pair] == nil {
				m.made[pair] = &pair // closed by its halves
			}
			b = m.made[pair]
		}
		byDomain[d.Name] = b
	}
	return byDomain, nil
}

// maker makes the back ends of one generation.
type maker struct {
	g    *Gateway
	gen  *generation
	made map[any]backend.Backend // by configuration
}

func (m *maker) backend(d *snapshot.Domain, b *snapshot.Backend) (backend.Backend, error) {
	switch b.Type {
	case snapshot.BackendISchedule:
		return m.once(*b.ISchedule, func() (backend.Backend, error) {
			return backendischedule.New(*b.ISchedule, m.gen.outside.guard, m.g.userAgent())
		})
	case snapshot.BackendCalDAV:
		return m.once(*b.CalDAV, func() (backend.Backend, error) {
			return caldav.New(caldav.Config{
				Server: *b.CalDAV, Guard: m.gen.outside.guard, Echoes: m.g.echoes,
				UserAgent: m.g.userAgent(), Now: m.g.opt.Now, Log: m.g.log,
			})
		})
	case snapshot.BackendIMIP:
		server := m.gen.active.Snapshot.Gateway.Submission.Smarthost
		if b.IMIP.Server != nil {
			server = b.IMIP.Server
		}
		if server == nil {
			return nil, errors.New("there is no mail server for it: neither its own nor a smarthost")
		}
		return m.once(*server, func() (backend.Backend, error) { return m.mail(server) })
	case snapshot.BackendMemory:
		own, ok := m.g.opt.Memory[d.Name]
		if !ok {
			return nil, errors.New("no memory back end was given")
		}
		return own, nil
	}
	return nil, fmt.Errorf("no back end of type %q", b.Type)
}

// once makes what was not made before for the same configuration.
func (m *maker) once(configuration any, make func() (backend.Backend, error)) (backend.Backend, error) {
	if known := m.made[configuration]; known != nil {
		return known, nil
	}
	b, err := make()
	if err != nil {
		return nil, err
	}
	m.made[configuration] = b
	m.gen.owned = append(m.gen.owned, b)
	return b, nil
}

func (m *maker) mail(server *snapshot.SMTPServer) (backend.Backend, error) {
	s := &m.gen.active.Snapshot.Gateway
	client, err := smarthost.New(*server, m.gen.outside.guard, s.Host)
	if err != nil {
		return nil, err
	}
	m.gen.relays = append(m.gen.relays, client)
	return backendimip.New(backendimip.Config{
		Sender: client, Host: s.Host, Proven: true, Echoes: m.g.echoes, Now: m.g.opt.Now, Log: m.g.log,
	})
}

// fallbacks makes the slower way of every domain that has one. IS-SEND-7.
func (g *Gateway) fallbacks(gen *generation) (map[string]backend.Backend, error) {
	byDomain := make(map[string]backend.Backend)
	for i := range gen.active.Snapshot.Domains {
		d := &gen.active.Snapshot.Domains[i]
		if d.Fallback != snapshot.FallbackIMIP {
			continue
		}
		if gen.relay == nil {
			return nil, fmt.Errorf("domain %s: fallback: there is no smarthost", d.Name)
		}
		b, err := backendimip.New(backendimip.Config{
			Sender: gen.relay, Host: gen.active.Snapshot.Gateway.Host, Sign: g.mailSignature(d), Now: g.opt.Now, Log: g.log,
		})
		if err != nil {
			return nil, fmt.Errorf("domain %s: fallback: %w", d.Name, err)
		}
		byDomain[d.Name] = b
		gen.owned = append(gen.owned, b)
	}
	return byDomain, nil
}

// mailSignature signs the domain's iMIP mail, by the key that signs its iSchedule messages; nil = it stays unsigned. The key is
// read at first use.
func (g *Gateway) mailSignature(d *snapshot.Domain) func(mail []byte) ([]byte, error) {
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
		return imip.Sign(mail, by.key.Domain, by.key.Selector, by.private, g.opt.Now())
	}
}

// split sends free/busy questions elsewhere than messages.
type split struct{ messages, freeBusy backend.Backend }

// Deliver implements backend.Backend.
func (s *split) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	if d.Message.Component == "VFREEBUSY" {
		return s.freeBusy.Deliver(ctx, d)
	}
	return s.messages.Deliver(ctx, d)
}

// Close implements backend.Backend: both halves are owned by the generation.
func (s *split) Close() {}

// respond implements receiver.Respond: the message of a local user leaves as if its calendar system had submitted it.
func (gen *generation) respond(ctx context.Context, domain *snapshot.Domain, from, to cua.Address, body []byte) error {
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		return err
	}
	answer, refusal := gen.sender.Send(ctx, &sender.Submission{Submitter: "calfed", Domain: domain, Request: &ischedule.Request{
		Originator: from, Recipients: []cua.Address{to}, Component: m.Component, Method: m.Method, Body: body,
	}})
	if refusal != nil {
		return refusal
	}
	if status := answer.Results[0].Status; !status.Success() {
		return fmt.Errorf("the answer to the Originator: %s", status)
	}
	return nil
}
