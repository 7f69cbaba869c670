package snapshot

import (
	"errors"
	"math"
	"net/netip"
	"strings"
)

func (s *Submission) validate() error {
	if s.SMTP != nil {
		if err := s.SMTP.validate(); err != nil {
			return at("smtp", err)
		}
	}
	if s.Smarthost != nil {
		return at("smarthost", s.Smarthost.validate())
	}
	return nil
}

func (s *SMTPSubmission) validate() error {
	switch {
	case s.MaxMessageBytes <= 0:
		return wrong("maxMessageBytes", "must be positive")
	case s.MaxRecipients <= 0:
		return wrong("maxRecipients", "must be positive")
	}
	return at("authservID", checkVisible(s.AuthservID))
}

func (s *SMTPServer) validate() error {
	if _, err := netip.ParseAddr(s.Host); err != nil {
		if err := checkDomain(s.Host); err != nil {
			return at("host", err)
		}
	}
	switch {
	case s.Port < 1 || s.Port > math.MaxUint16:
		return wrong("port", "%d is no port", s.Port)
	case s.TLS != SMTPStartTLS && s.TLS != SMTPImplicit && s.TLS != SMTPPlain:
		return wrong("tls", "%q is none of StartTLS, Implicit, None", s.TLS)
	case s.TLS == SMTPPlain && s.Username != "":
		return wrong("tls", "credentials need TLS")
	}
	return checkLogin(s.Username, s.Password)
}

// checkLogin demands a user name and password that can be sent, or neither.
func checkLogin(username, password string) error {
	switch {
	case hasControl(username):
		return wrong("username", "holds a control character")
	case hasControl(password):
		return wrong("password", "holds a control character")
	case username == "" && password != "":
		return wrong("username", "missing beside a password")
	case username != "" && password == "":
		return wrong("password", "missing beside a user name")
	}
	return nil
}

// checkBasicName demands what HTTP can carry as a user name (RFC 7617 §2).
func checkBasicName(username string) error {
	if hasControl(username) || strings.Contains(username, ":") {
		return errors.New("holds a colon or a control character")
	}
	return nil
}

// checkVisible demands visible ASCII characters.
func checkVisible(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("holds something other than visible ASCII characters")
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
