// Package primarytest is a primary name server for tests: it answers questions about its zones and takes dynamic
// updates (RFC 2136, all prerequisites) that are signed with a TSIG key it knows (RFC 8945).
//
// It has no transfers, signs no zone and forgets everything at its end.
package primarytest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Options of a Server.
type Options struct {
	Listen string            // IP address and port; "" = a free port of 127.0.0.1
	Also   []string          // more of them
	Zones  string            // zone text (RFC 1035 §5); each SOA begins a zone
	Keys   map[string]string // TSIG keys: name to base64
}

// Server is a name server. Safe for concurrent use.
type Server struct {
	addr string
	ends []*dns.Server // two for each address that it listens at
	done sync.WaitGroup

	mu        sync.Mutex
	records   []dns.RR
	keys      map[string]string
	deny      int // Rcode of every update, 0 = take them
	deaf      bool
	away      bool
	shut      bool
	before    func()
	skew      time.Duration
	updates   int
	questions int
}

// New starts a server and stops it at the end of the test.
func New(t testing.TB, opt Options) *Server {
	t.Helper()
	s, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start starts a server, which others share: who starts it stops it.
func Start(opt Options) (*Server, error) {
	s := &Server{keys: map[string]string{}}
	for name, secret := range opt.Keys {
		s.keys[dns.CanonicalName(name)] = secret
	}
	var err error
	if s.records, err = parse(opt.Zones); err != nil {
		return nil, err
	}
	addr, err := s.listen(opt.Listen)
	if err != nil {
		return nil, err
	}
	s.addr = addr
	for _, also := range opt.Also {
		if _, err := s.listen(also); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

// listen answers at one more address, and returns it.
func (s *Server) listen(at string) (string, error) {
	pc, ln, err := listen(at)
	if err != nil {
		return "", err
	}
	accept := func(h dns.Header) dns.MsgAcceptAction {
		if opcode := int(h.Bits>>11) & 0xF; opcode == dns.OpcodeUpdate {
			return dns.MsgAccept
		}
		return dns.DefaultMsgAcceptFunc(h)
	}
	var started sync.WaitGroup
	for _, end := range []*dns.Server{{PacketConn: pc}, {Listener: ln}} {
		end.Handler, end.MsgAcceptFunc, end.TsigProvider, end.NotifyStartedFunc = s, accept, keyring{s}, started.Done
		s.ends = append(s.ends, end)
		started.Add(1)
		s.done.Go(func() { _ = end.ActivateAndServe() })
	}
	started.Wait()
	return ln.Addr().String(), nil
}

func parse(text string) ([]dns.RR, error) {
	var out []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		out = append(out, rr)
	}
	return out, p.Err()
}

// listen takes a port that is free for both protocols.
func listen(addr string) (net.PacketConn, net.Listener, error) {
	var cfg net.ListenConfig
	var err error
	for range 16 {
		want := addr
		if want == "" {
			want = "127.0.0.1:0"
		}
		var pc net.PacketConn
		if pc, err = cfg.ListenPacket(context.Background(), "udp", want); err != nil {
			return nil, nil, err
		}
		var ln net.Listener
		if ln, err = cfg.Listen(context.Background(), "tcp", pc.LocalAddr().String()); err == nil {
			return pc, ln, nil
		}
		_ = pc.Close()
	}
	return nil, nil, fmt.Errorf("no port free for UDP and TCP: %w", err)
}

// Addr is its host:port.
func (s *Server) Addr() string { return s.addr }

// Stop ends it, and waits. A second call does nothing.
func (s *Server) Stop() {
	for _, end := range s.ends {
		_ = end.Shutdown()
	}
	s.done.Wait()
}

// Records returns the data at a name as zone files write them, sorted.
func (s *Server) Records(name, rrtype string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, rr := range s.at(dns.CanonicalName(name), dns.StringToType[rrtype]) {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	return out
}

// Names returns the names that have records, sorted, those of SOA, NS and addresses left out.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, rr := range s.records {
		switch rr.(type) {
		case *dns.SOA, *dns.NS, *dns.A:
		default:
			out = append(out, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Set replaces what is at the names and types of the zone text, as an administrator would.
func (s *Server) Set(t testing.TB, text string) {
	t.Helper()
	fresh, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range fresh {
		s.remove(rr.Header().Name, rr.Header().Rrtype)
	}
	s.records = append(s.records, fresh...)
}

// Remove removes what is at a name, as an administrator would.
func (s *Server) Remove(name, rrtype string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(dns.CanonicalName(name), dns.StringToType[rrtype])
}

// Deny makes every update fail with an Rcode; RcodeSuccess ends that.
func (s *Server) Deny(rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = rcode
}

// SetDeaf makes it answer nothing any more, or again.
func (s *Server) SetDeaf(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = on
}

// SetUnavailable makes it close connections by TCP unanswered, or answer again.
func (s *Server) SetUnavailable(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = on
}

// BeforeUpdate has f called before the next update is looked at, once: what happens between reading and writing.
func (s *Server) BeforeUpdate(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// SetShut makes it refuse questions that are not signed, or none.
func (s *Server) SetShut(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = on
}

// SetSkew puts its clock forward.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// Updates counts the updates that were done.
func (s *Server) Updates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

// Questions counts what was asked.
func (s *Server) Questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.questions
}

func (s *Server) at(name string, rrtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range s.records {
		if rr.Header().Name == name && (rr.Header().Rrtype == rrtype || rrtype == dns.TypeANY) {
			out = append(out, rr)
		}
	}
	return out
}

func (s *Server) remove(name string, rrtype uint16) {
	s.records = slices.DeleteFunc(s.records, func(rr dns.RR) bool {
		return rr.Header().Name == name && (rr.Header().Rrtype == rrtype || rrtype == dns.TypeANY)
	})
}

// zone is the SOA of the closest zone above a name, nil when it has none.
func (s *Server) zone(name string) *dns.SOA {
	var best *dns.SOA
	for _, rr := range s.records {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) && (best == nil || len(soa.Hdr.Name) > len(best.Hdr.Name)) {
			best = soa
		}
	}
	return best
}
