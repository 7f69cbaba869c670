package primarytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// keyring checks and makes signatures with the keys of the server.
type keyring struct{ s *Server }

func (k keyring) key(t *dns.TSIG) ([]byte, error) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	secret, ok := k.s.keys[dns.CanonicalName(t.Hdr.Name)]
	if !ok {
		return nil, dns.ErrSecret
	}
	return base64.StdEncoding.DecodeString(secret)
}

// Generate implements dns.TsigProvider.
func (k keyring) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if t.Error == dns.RcodeBadKey || t.Error == dns.RcodeBadSig {
		return nil, nil // RFC 8945 §5.2.1, §5.2.2: such an answer is not signed
	}
	key, err := k.key(t)
	if err != nil {
		return nil, err
	}
	algorithms := map[string]func() hash.Hash{dns.HmacSHA256: sha256.New, dns.HmacSHA384: sha512.New384, dns.HmacSHA512: sha512.New}
	fresh, ok := algorithms[dns.CanonicalName(t.Algorithm)]
	if !ok {
		return nil, dns.ErrKeyAlg
	}
	h := hmac.New(fresh, key)
	h.Write(msg)
	return h.Sum(nil), nil
}

// Verify implements dns.TsigProvider.
func (k keyring) Verify(msg []byte, t *dns.TSIG) error {
	want, err := k.Generate(msg, t)
	if err != nil {
		return err
	}
	got, err := hex.DecodeString(t.MAC)
	if err != nil || !hmac.Equal(want, got) {
		return dns.ErrSig
	}
	return nil
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	s.mu.Lock()
	away, before := s.away, s.before
	if req.Opcode == dns.OpcodeUpdate {
		s.before = nil
	}
	s.mu.Unlock()
	if before != nil && req.Opcode == dns.OpcodeUpdate {
		before()
	}
	if away {
		_ = w.Close()
		return
	}
	if resp := s.respond(req, w.TsigStatus()); resp != nil {
		_ = w.WriteMsg(resp)
	}
}

func (s *Server) respond(req *dns.Msg, signature error) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.questions++
	if s.deaf {
		return nil
	}
	resp := new(dns.Msg).SetReply(req)
	if len(req.Question) != 1 {
		return resp.SetRcode(req, dns.RcodeFormatError)
	}
	if tsig := req.IsTsig(); tsig != nil {
		resp.SetTsig(tsig.Hdr.Name, tsig.Algorithm, tsig.Fudge, time.Now().Unix())
		if code := s.checkKey(tsig, signature); code != dns.RcodeSuccess {
			resp.Rcode = dns.RcodeNotAuth
			resp.IsTsig().Error = code
			return resp
		}
	}
	switch {
	case req.Opcode == dns.OpcodeUpdate:
		resp.Rcode = s.update(req)
	case s.shut && req.IsTsig() == nil:
		resp.Rcode = dns.RcodeRefused
	default:
		s.answer(resp, dns.CanonicalName(req.Question[0].Name), req.Question[0].Qtype)
	}
	return resp
}

func (s *Server) checkKey(tsig *dns.TSIG, signature error) uint16 {
	if s.keys[dns.CanonicalName(tsig.Hdr.Name)] == "" {
		return dns.RcodeBadKey
	}
	if off := time.Until(time.Unix(int64(tsig.TimeSigned), 0)) - s.skew; off.Abs() > time.Duration(tsig.Fudge)*time.Second { // 48 bits
		return dns.RcodeBadTime
	}
	if signature != nil {
		return dns.RcodeBadSig
	}
	return dns.RcodeSuccess
}

// answer answers a question (RFC 1034 §4.3.2, RFC 2308).
func (s *Server) answer(resp *dns.Msg, name string, rrtype uint16) {
	soa := s.zone(name)
	if soa == nil {
		resp.Rcode = dns.RcodeRefused
		return
	}
	resp.Authoritative = true
	found := s.at(name, rrtype)
	if len(found) == 0 {
		found = s.at(name, dns.TypeCNAME)
	}
	if len(found) > 0 {
		resp.Answer = found
		return
	}
	resp.Ns = []dns.RR{soa}
	if !slices.ContainsFunc(s.records, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) }) {
		resp.Rcode = dns.RcodeNameError
	}
}

// update does what RFC 2136 §3 says, save that it needs a TSIG key.
func (s *Server) update(req *dns.Msg) int {
	zone := dns.CanonicalName(req.Question[0].Name)
	switch {
	case s.deny != dns.RcodeSuccess:
		return s.deny
	case req.IsTsig() == nil:
		return dns.RcodeRefused
	case len(s.at(zone, dns.TypeSOA)) == 0:
		return dns.RcodeNotAuth
	}
	for _, rr := range slices.Concat(req.Answer, req.Ns) {
		if !dns.IsSubDomain(zone, dns.CanonicalName(rr.Header().Name)) {
			return dns.RcodeNotZone
		}
	}
	if code := s.prerequisites(req.Answer); code != dns.RcodeSuccess {
		return code
	}
	for _, rr := range req.Ns {
		s.change(rr)
	}
	s.updates++
	return dns.RcodeSuccess
}

// prerequisites checks them (RFC 2136 §3.2).
func (s *Server) prerequisites(list []dns.RR) int {
	values := map[string][]string{} // sets that must be as they are said to be
	for _, rr := range list {
		h := rr.Header()
		found := s.at(dns.CanonicalName(h.Name), h.Rrtype)
		switch h.Class {
		case dns.ClassANY:
			if len(found) == 0 && h.Rrtype == dns.TypeANY {
				return dns.RcodeNameError
			}
			if len(found) == 0 {
				return dns.RcodeNXRrset
			}
		case dns.ClassNONE:
			if len(found) > 0 && h.Rrtype == dns.TypeANY {
				return dns.RcodeYXDomain
			}
			if len(found) > 0 {
				return dns.RcodeYXRrset
			}
		default:
			key := dns.CanonicalName(h.Name) + " " + dns.TypeToString[h.Rrtype]
			values[key] = append(values[key], data(rr))
		}
	}
	for key, want := range values {
		name, rrtype, _ := strings.Cut(key, " ")
		var have []string
		for _, rr := range s.at(name, dns.StringToType[rrtype]) {
			have = append(have, data(rr))
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(want, have) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

func data(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// change does one change (RFC 2136 §3.4.2).
func (s *Server) change(rr dns.RR) {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	switch h.Class {
	case dns.ClassANY:
		s.remove(name, h.Rrtype)
	case dns.ClassNONE:
		s.records = slices.DeleteFunc(s.records, func(old dns.RR) bool {
			return old.Header().Name == name && old.Header().Rrtype == h.Rrtype && data(old) == data(rr)
		})
	default:
		if len(s.at(name, dns.TypeCNAME)) > 0 && h.Rrtype != dns.TypeCNAME {
			return // §3.4.2.2: ignored
		}
		fresh := dns.Copy(rr)
		fresh.Header().Name = name
		s.records = slices.DeleteFunc(s.records, func(old dns.RR) bool {
			return old.Header().Name == name && old.Header().Rrtype == h.Rrtype && data(old) == data(rr)
		})
		s.records = append(s.records, fresh)
	}
}
