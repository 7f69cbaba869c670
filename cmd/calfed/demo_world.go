package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"text/template"
	"time"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/snapshot"
)

//go:embed demodata/site.yaml
var siteManifest string

// world is the stage of the demo: two organisations, and what lies between them.
type world struct {
	ca          *catest.CA
	dns         *dnstest.Server
	alpha, beta *site
	exchanges   chan string // what users of one sent to the other's by a calendar program, and what came of it
}

// site is one organisation.
type site struct {
	Name, Domain, Host, Peer string
	Selector, Lookup         string // of the signing key, and how others find it
	Resolver                 string
	Certificate, TLSKey, CA  string
	SigningKey, Token        string
	Calendars                string // URL of the calendar server
	ServicePassword          string // of the gateway there

	people    []cua.Address
	exchanges chan<- string // the world's

	record         string // of the signing key
	gateway        *gateway.Gateway
	calendars      *caldavtest.Server
	calendarServer *http.Server
	wire           *wire // on the way to the gateway; what DNS names
	journal        *journal
	stop           context.CancelFunc
	ended          chan error
}

func newWorld(ctx context.Context, folder string) (_ *world, err error) {
	w := &world{
		alpha: &site{Name: "alpha", Peer: "beta.example", Selector: "cal", Lookup: dkim.MethodDNS},
		beta:  &site{Name: "beta", Peer: "alpha.example", Selector: "cal", Lookup: dkim.MethodWellKnown},

		exchanges: make(chan string, 64),
	}
	w.alpha.exchanges, w.beta.exchanges = w.exchanges, w.exchanges
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.ca, err = catest.New(); err != nil {
		return nil, err
	}
	if w.dns, err = dnstest.New(""); err != nil {
		return nil, err
	}
	w.alpha.people, w.beta.people = []cua.Address{anna}, []cua.Address{bert, bea, carla}
	algorithms := map[*site]string{w.alpha: "rsa-2048", w.beta: "ed25519"}
	for _, s := range []*site{w.alpha, w.beta} {
		s.Domain, s.Host, s.Token = s.Name+".example", "cal."+s.Name+".example", rand.Text()
		s.Resolver, s.ServicePassword = w.dns.Addr(), rand.Text()
		if err := s.keys(w.ca, algorithms[s]); err != nil {
			return nil, err
		}
		if err := s.openCalendars(ctx); err != nil {
			return nil, err
		}
		if err := s.start(ctx, filepath.Join(folder, s.Name)); err != nil {
			return nil, err
		}
		leaf, err := w.ca.Issue(catest.Leaf{DNS: []string{s.Host}})
		if err != nil {
			return nil, err
		}
		if s.wire, err = newWire(ctx, leaf, w.ca.Pool(), s.Host, s.gateway.Addrs().Public); err != nil {
			return nil, err
		}
	}
	return w, w.dns.Replace(w.zone())
}

// zone is what both organisations publish.
func (w *world) zone() string {
	var z bytes.Buffer
	for _, s := range []*site{w.alpha, w.beta} {
		port := s.wire.addr.Port
		_, _ = fmt.Fprintf(&z, "_ischedules._tcp.%s. 60 IN SRV 0 0 %d %s.\n", s.Domain, port, s.Host)
		_, _ = fmt.Fprintf(&z, "%s. 60 IN A 127.0.0.1\n", s.Host)
		if s.Lookup == dkim.MethodDNS {
			_, _ = fmt.Fprintf(&z, "%s._domainkey.%s. 60 IN TXT %s\n", s.Selector, s.Domain, quotedStrings(s.record))
		} else {
			_, _ = fmt.Fprintf(&z, "_domainkey_lookup._tcp.%s. 60 IN SRV 0 0 %d %s.\n", s.Domain, port, s.Host)
		}
	}
	return z.String()
}

// keys makes the site's certificate and signing key.
func (s *site) keys(ca *catest.CA, algorithm string) error {
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{s.Host}})
	if err != nil {
		return err
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		return err
	}
	s.Certificate, s.TLSKey, s.CA = string(cert), string(key), string(ca.PEM())
	signing, err := dkim.GenerateKey(algorithm)
	if err != nil {
		return err
	}
	pem, err := dkim.MarshalPrivateKey(signing)
	if err != nil {
		return err
	}
	s.SigningKey = string(pem)
	s.record, err = dkim.FormatRecord(signing.Public(), false)
	return err
}

// start writes the site's manifests, compiles them as `serve` does, and runs the gateway.
func (s *site) start(ctx context.Context, folder string) error {
	snap, err := s.compile(folder)
	if err != nil {
		return err
	}
	s.journal = &journal{}
	s.gateway = gateway.New(gateway.Options{
		PublicAddr: "127.0.0.1:0", SubmitAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0",
		Log: slog.New(s.journal), Version: version, DrainTimeout: 5 * time.Second,
	})
	if err := s.gateway.Apply(snap); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.ended = stop, make(chan error, 1)
	go func() { s.ended <- s.gateway.Run(running) }()
	select {
	case <-s.gateway.Started():
		return nil
	case err := <-s.ended:
		s.ended <- err
		return err
	}
}

func (s *site) compile(folder string) (*snapshot.Snapshot, error) {
	tmpl, err := template.New("site").Parse(siteManifest)
	if err != nil {
		return nil, err
	}
	var manifest bytes.Buffer
	if err := tmpl.Execute(&manifest, s); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "site.yaml"), manifest.Bytes(), 0o600); err != nil {
		return nil, err
	}
	c, err := compileManifests([]string{folder}, compile.CapabilityState{}, time.Now())
	if err != nil {
		return nil, err
	}
	for _, p := range c.problems { // not even a warning: people copy from demos
		return nil, errors.New(p.String())
	}
	out, err := c.gateway("")
	return out.Snapshot, err
}

func (s *site) submitURL() string { return "http://" + s.gateway.Addrs().Submit.String() + "/" }

// close drains both gateways and stops the rest; the error is that of a drain.
func (w *world) close() error {
	var errs []error
	for _, s := range []*site{w.alpha, w.beta} {
		if s.wire != nil {
			s.wire.close()
		}
		if s.stop != nil {
			s.stop()
			errs = append(errs, <-s.ended)
		}
		if s.calendarServer != nil {
			errs = append(errs, s.calendarServer.Close())
		}
	}
	if w.dns != nil {
		w.dns.Close()
	}
	return errors.Join(errs...)
}

// journal is the gateway's log, of which the demo quotes what became of the last message.
type journal struct {
	mu   sync.Mutex
	last map[string]string
}

// scheduling is the message of the receiver's one line for each scheduling message.
const scheduling = "scheduling message"

// Enabled implements slog.Handler.
func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	if r.Message != scheduling {
		return nil
	}
	fields := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = a.Value.String()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = fields
	return nil
}

// WithAttrs implements slog.Handler.
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }

// WithGroup implements slog.Handler.
func (j *journal) WithGroup(string) slog.Handler { return j }

// field is one field of the last message's line.
func (j *journal) field(name string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last[name]
}
