package publish

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// timeout bounds all that is said to a name server at one time.
const timeout = 20 * time.Second

// fudge is how far clocks may be apart, in seconds (RFC 8945 §10).
const fudge = 300

// session is one TCP connection to a name server.
type session struct {
	server    string // host:port
	keyName   string // canonical
	algorithm string // canonical
	secret    string // base64
	conn      *dns.Conn
}

// open connects. The context bounds the whole session.
func (u *Update) open(ctx context.Context) (*session, error) {
	secret, err := cleanSecret(u.Secret)
	if err != nil {
		return nil, err
	}
	server, err := address(u.Settings.Server)
	if err != nil {
		return nil, err
	}
	conn, err := u.Dial(ctx, "tcp", server)
	if err != nil {
		return nil, unreachable(server, err)
	}
	return &session{
		server:    server,
		keyName:   dns.CanonicalName(u.Settings.TSIG.KeyName),
		algorithm: dns.Fqdn(u.algorithm()),
		secret:    secret,
		conn:      &dns.Conn{Conn: conn},
	}, nil
}

// cleanSecret is the key as miekg/dns wants it. The error does not show it.
func cleanSecret(secret []byte) (string, error) {
	text := strings.Join(strings.Fields(string(secret)), "")
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) == 0 {
		return "", failed("the TSIG key in the Secret is not in base64: write it as the name server's configuration does")
	}
	return text, nil
}

// address adds the port where there is none.
func address(server string) (string, error) {
	if host, port, err := net.SplitHostPort(server); err == nil && host != "" && port != "" {
		return server, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	if host == "" {
		return "", failed("%q is no name server: write a host name or an IP address", server)
	}
	return net.JoinHostPort(host, "53"), nil
}

// ask puts a question, unsigned: few servers let a key for updates ask. One that answers nobody unsigned is asked again
// with the key. What is learnt so is no more than a hint: updates say what they rest on, and the server checks it.
func (s *session) ask(name string, rrtype uint16) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(name, rrtype)
	query.RecursionDesired = false
	answer, err := s.exchange(query, false)
	if err != nil || answer.Rcode != dns.RcodeRefused {
		return answer, err
	}
	return s.exchange(query, true)
}

// exchange sends a message and returns the answer. A signed message has a signed answer, or it is an error.
func (s *session) exchange(m *dns.Msg, signed bool) (*dns.Msg, error) {
	m.Id = dns.Id()
	var wire []byte
	var mac string
	var err error
	if signed {
		m = m.Copy()
		m.SetTsig(s.keyName, s.algorithm, fudge, time.Now().Unix())
		wire, mac, err = dns.TsigGenerate(m, s.secret, "", false)
	} else {
		wire, err = m.Pack()
	}
	if err != nil {
		return nil, failed("the message to %s cannot be made: %s", s.server, err)
	}
	if _, err := s.conn.Write(wire); err != nil {
		return nil, unreachable(s.server, err)
	}
	raw, err := s.conn.ReadMsgHeader(nil)
	if err != nil {
		return nil, unreachable(s.server, err)
	}
	answer := new(dns.Msg)
	if err := answer.Unpack(raw); err != nil || answer.Id != m.Id || !answer.Response || answer.Opcode != m.Opcode {
		return nil, failed("what answers at %s is no name server", s.server)
	}
	if !signed {
		return answer, nil
	}
	tsig := answer.IsTsig()
	switch {
	case tsig != nil && tsig.Error != dns.RcodeSuccess:
		return nil, s.keyRefused(int(tsig.Error))
	case answer.Rcode != dns.RcodeSuccess:
		// a refusal need not be proven: whoever can forge it can also cut the connection
	case tsig == nil:
		return nil, failed("%s does not sign its answer: something between it and the operator answers in its place, or it ignores the TSIG key", s.server)
	case dns.TsigVerify(raw, s.secret, mac, false) != nil:
		return nil, failed("the answer of %s is not signed with the TSIG key %s: the key in the Secret is not the one the server has, or something between them changes messages", s.server, plain(s.keyName))
	}
	return answer, nil
}

func (s *session) close() { _ = s.conn.Close() }

// interrupt ends whatever waits for the server, as if it had not answered in time.
func (s *session) interrupt() { _ = s.conn.SetDeadline(time.Unix(1, 0)) }

// plain is a name without its trailing dot.
func plain(name string) string { return strings.TrimSuffix(name, ".") }

// keyRefused says why a server does not take the key (RFC 8945 §5.2).
func (s *session) keyRefused(code int) error {
	key := plain(s.keyName)
	switch code {
	case dns.RcodeBadKey:
		return failed("%s does not know the TSIG key %s with %s, or lets it do nothing (BADKEY): check keyName and algorithm in spec.publish.rfc2136.tsig, and the keys and rules of the server", s.server, key, plain(s.algorithm))
	case dns.RcodeBadSig: // BADVERS has the same number
		return failed("%s has another TSIG key under the name %s (BADSIG): put the server's into the Secret", s.server, key)
	case dns.RcodeBadTime:
		return failed("the clock of %s and that of the operator are more than five minutes apart (BADTIME): set both by NTP", s.server)
	case dns.RcodeBadTrunc:
		return failed("%s wants longer signatures (BADTRUNC): choose another algorithm in spec.publish.rfc2136.tsig", s.server)
	}
	return failed("%s refuses the TSIG key %s: %s", s.server, key, rcodeName(code))
}

func rcodeName(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("code %d", code)
}
