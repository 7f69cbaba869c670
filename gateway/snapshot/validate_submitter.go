package snapshot

import (
	"crypto/sha256"
	"errors"
	"slices"
)

func validateSubmitters(submitters []Submitter, m *memory) error {
	names := make(map[string]bool, len(submitters))
	return each(submitters, func(s *Submitter) error {
		if s.Name == "" || names[s.Name] {
			return wrong("name", "missing, or not the only one")
		}
		names[s.Name] = true
		ways := 0
		for _, set := range []bool{len(s.TokenSHA256) > 0, s.Certificate != nil, s.Basic != nil, s.PinnedKey != nil} {
			if set {
				ways++
			}
		}
		switch {
		case ways != 1:
			return errors.New("one of a token, a certificate, a password and a pinned key is wanted")
		case s.Certificate != nil:
			return at("certificate", s.Certificate.validate(m))
		case s.Basic != nil:
			return at("basic", s.Basic.validate())
		case s.PinnedKey != nil:
			return at("pinnedKey", s.PinnedKey.validate())
		case len(s.TokenSHA256) != sha256.Size:
			return wrong("tokenSHA256", "no SHA-256 digest")
		}
		return nil
	})
}

func (c *ClientCertificate) validate(m *memory) error {
	switch {
	case len(c.CA) == 0:
		return wrong("ca", "missing")
	case len(c.Names) == 0 || slices.Contains(c.Names, ""):
		return wrong("names", "missing or empty: every certificate of the CA would do")
	}
	return at("ca", m.bundle(c.CA))
}

func (b *Basic) validate() error {
	switch {
	case b.Username == "":
		return wrong("username", "missing")
	case len(b.PasswordSHA256) != sha256.Size:
		return wrong("passwordSHA256", "no SHA-256 digest")
	}
	return at("username", checkBasicName(b.Username))
}
