// Package dnstest is a real authoritative DNS server on loopback, UDP and TCP, for tests and the demo.
//
// It answers positively, with NODATA and with NXDOMAIN as RFC 1034 §4.3.2 and RFC 2308 say, follows CNAMEs inside
// what it holds, and truncates UDP answers to what the question allows. It knows no wildcards, no delegation and
// signs nothing.
package dnstest

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/miekg/dns"
)

// Server answers from a zone text in master file format (RFC 1035 §5), whatever names it holds.
type Server struct {
	addr string
	udp  *dns.Server
	tcp  *dns.Server
	done sync.WaitGroup

	mu      sync.Mutex
	zone    *zone
	fail    map[string]int
	secure  bool
	queries map[question]int
	viaTCP  map[question]int
}

type question struct {
	name  string
	qtype uint16
}

// New starts a server on a free port of 127.0.0.1.
func New(zone string) (*Server, error) { return start(zone, listen) }

// NewAt starts a server at a host:port: the name servers of a zone share a port, at addresses of their own.
func NewAt(address, zone string) (*Server, error) {
	return start(zone, func() (net.PacketConn, net.Listener, error) { return listenAt(address) })
}

func start(zone string, listen func() (net.PacketConn, net.Listener, error)) (*Server, error) {
	z, err := parse(zone)
	if err != nil {
		return nil, err
	}
	pc, ln, err := listen()
	if err != nil {
		return nil, err
	}
	s := &Server{
		addr:    ln.Addr().String(),
		zone:    z,
		fail:    make(map[string]int),
		queries: make(map[question]int),
		viaTCP:  make(map[question]int),
	}
	var started sync.WaitGroup
	started.Add(2)
	s.udp = &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(s.serve), NotifyStartedFunc: started.Done}
	s.tcp = &dns.Server{Listener: ln, Handler: dns.HandlerFunc(s.serve), NotifyStartedFunc: started.Done}
	s.done.Go(func() { _ = s.udp.ActivateAndServe() })
	s.done.Go(func() { _ = s.tcp.ActivateAndServe() })
	started.Wait()
	return s, nil
}

// listen takes a port that is free for both protocols.
func listen() (net.PacketConn, net.Listener, error) {
	var err error
	for range 16 {
		var pc net.PacketConn
		var ln net.Listener
		if pc, ln, err = listenAt("127.0.0.1:0"); err == nil {
			return pc, ln, nil
		}
	}
	return nil, nil, fmt.Errorf("dnstest: no port free for UDP and TCP: %w", err)
}

func listenAt(address string) (net.PacketConn, net.Listener, error) {
	var cfg net.ListenConfig
	pc, err := cfg.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, nil, err
	}
	ln, err := cfg.Listen(context.Background(), "tcp", pc.LocalAddr().String())
	if err != nil {
		_ = pc.Close()
		return nil, nil, err
	}
	return pc, ln, nil
}

// Addr is its host:port.
func (s *Server) Addr() string { return s.addr }

// Replace swaps the zone text; a text that does not parse changes nothing.
func (s *Server) Replace(zone string) error {
	z, err := parse(zone)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = z
	return nil
}

// Fail makes every question for name answer with rcode (dns.RcodeServerFailure, …); -1 drops the question unanswered,
// and dns.RcodeSuccess ends the failure.
func (s *Server) Fail(name string, rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rcode == dns.RcodeSuccess {
		delete(s.fail, dns.CanonicalName(name))
		return
	}
	s.fail[dns.CanonicalName(name)] = rcode
}

// SetSecure makes every answer carry the AD bit, as a validating resolver's would; it never does otherwise.
func (s *Server) SetSecure(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure = on
}

// Queries counts the questions for name and type so far.
func (s *Server) Queries(name string, qtype uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[question{dns.CanonicalName(name), qtype}]
}

// TCPQueries counts those of Queries that came by TCP.
func (s *Server) TCPQueries(name string, qtype uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viaTCP[question{dns.CanonicalName(name), qtype}]
}

// Close stops it and waits.
func (s *Server) Close() {
	_ = s.udp.Shutdown()
	_ = s.tcp.Shutdown()
	s.done.Wait()
}

func (s *Server) serve(w dns.ResponseWriter, req *dns.Msg) {
	resp := new(dns.Msg)
	if len(req.Question) != 1 {
		_ = w.WriteMsg(resp.SetRcode(req, dns.RcodeFormatError))
		return
	}
	q := question{dns.CanonicalName(req.Question[0].Name), req.Question[0].Qtype}
	_, tcp := w.RemoteAddr().(*net.TCPAddr)

	s.mu.Lock()
	s.queries[q]++
	if tcp {
		s.viaTCP[q]++
	}
	z, secure := s.zone, s.secure
	rcode, failing := s.fail[q.name]
	s.mu.Unlock()

	if failing && rcode < 0 {
		return
	}
	resp.SetReply(req)
	if failing {
		resp.Rcode = rcode
	} else {
		resp.Authoritative = true
		resp.AuthenticatedData = secure
		z.answer(resp, q)
	}
	size := dns.MinMsgSize
	if opt := req.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		resp.SetEdns0(opt.UDPSize(), opt.Do())
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	resp.Truncate(size)
	_ = w.WriteMsg(resp)
}
