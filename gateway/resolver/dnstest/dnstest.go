// Package dnstest is a real authoritative DNS server on loopback, UDP and TCP, for tests and the demo.
package dnstest

// Server answers from a zone text in master file format (RFC 1035 §5), whatever names it holds.
type Server struct{}

// New starts a server on a free port of 127.0.0.1.
func New(zone string) (*Server, error) { panic("CONTRACT STUB") }

// Addr is its host:port.
func (s *Server) Addr() string { panic("CONTRACT STUB") }

// Replace swaps the zone text.
func (s *Server) Replace(zone string) error { panic("CONTRACT STUB") }

// Fail makes every question for name answer with rcode (dns.RcodeServerFailure, …); -1 drops the question unanswered.
func (s *Server) Fail(name string, rcode int) { panic("CONTRACT STUB") }

// Queries counts the questions for name and type so far.
func (s *Server) Queries(name string, qtype uint16) int { panic("CONTRACT STUB") }

// Close stops it and waits.
func (s *Server) Close() { panic("CONTRACT STUB") }
