package snapshot

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"

	"github.com/calfed/calfed/gateway/dkim"
)

func (p *Policy) validate(m *memory) error {
	switch {
	case p.ID == "":
		return wrong("id", "missing")
	case p.Action != Allow && p.Action != Deny:
		return wrong("action", "%q is neither Allow nor Deny", p.Action)
	case len(p.Peers) == 0:
		return wrong("peers", "missing")
	}
	return firstError(
		at("peers", each(p.Peers, checkPattern)),
		at("domains", each(p.Domains, checkPattern)),
		at("inbound", p.Inbound.validate()),
		at("outbound", p.Outbound.validate(m)),
	)
}

func (in *Inbound) validate() error {
	switch {
	case !(in.Rate >= 0) || math.IsInf(in.Rate, 0):
		return wrong("rate", "must not be negative")
	case in.MaxRecipients < 0:
		return wrong("maxRecipients", "must not be negative")
	case in.MinRSABits != 0 && (in.MinRSABits < 1024 || in.MinRSABits > 4096): // IS-DKIM-5
		return wrong("minRSABits", "must be between 1024 and 4096")
	case in.MaxAge < 0:
		return wrong("maxAge", "must not be negative")
	}
	switch in.FreeBusy {
	case "", FreeBusyFull, FreeBusyBusyOnly, FreeBusyDeny:
	default:
		return wrong("freeBusy", "%q is none of Full, BusyOnly, Deny", in.FreeBusy)
	}
	return firstError(
		at("messages", each(in.Messages, (*Messages).validate)),
		at("keyLookup", checkMethods(in.KeyLookup)),
		at("pinnedKeys", each(in.PinnedKeys, (*PinnedKey).validate)),
		at("thirdPartySigners", each(in.ThirdPartySigners, func(s *string) error { return checkDomain(*s) })),
	)
}

func (k *PinnedKey) validate() error {
	if k.Domain != "" {
		if err := checkDomain(k.Domain); err != nil {
			return at("domain", err)
		}
	}
	if err := checkDomain(k.Selector); err != nil {
		return at("selector", err)
	}
	record, err := dkim.ParseRecord(k.Record)
	if err == nil && record.Revoked {
		err = errors.New("a revoked key cannot be pinned")
	}
	return at("record", err)
}

func (o *Outbound) validate(m *memory) error {
	if o.Endpoint != "" {
		if err := checkURL(o.Endpoint, "https"); err != nil { // IS-DISC-6
			return at("endpoint", err)
		}
	}
	if o.ClientCertificate != nil {
		if err := m.keyPair(o.ClientCertificate); err != nil {
			return at("clientCertificate", err)
		}
	}
	switch {
	case strings.ContainsFunc(o.Authorization, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return wrong("authorization", "holds a control character")
	case o.RequireSecureIdentity != "" && o.RequireSecureIdentity != "DNSSEC" && o.RequireSecureIdentity != "SourceName":
		return wrong("requireSecureIdentity", "%q is neither DNSSEC nor SourceName", o.RequireSecureIdentity)
	case o.SignatureProfile != "" && o.SignatureProfile != SignatureDAViCal:
		return wrong("signatureProfile", "%q is no signature profile", o.SignatureProfile)
	case o.Timeout < 0:
		return wrong("timeout", "must not be negative")
	}
	return firstError(
		at("caBundle", m.bundle(o.CABundle)),
		at("certificateSHA256", each(o.CertificateSHA256, func(pin *string) error {
			if b, err := hex.DecodeString(*pin); err != nil || len(b) != 32 {
				return errors.New("no SHA-256 digest in hexadecimal")
			}
			return nil
		})),
	)
}
