package mail

import (
	"errors"
	"regexp"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/submission"
)

// transaction is one mail with its envelope.
type transaction struct {
	acting     []submission.Acting // the submitter, by each domain it acts for
	from       string              // "" = the null sender
	fromDomain string
	utf8       bool   // SMTPUTF8
	id, ret    string // ENVID, RET
	recipients []*recipient
	mail       []byte
}

// recipient is one RCPT.
type recipient struct {
	path     string      // as it was given
	address  cua.Address // zero when a calendar knows no such address
	domain   string      // A-label; "" when it is nobody's, as an address literal is
	notify   []string    // NOTIFY, nil when absent
	original string      // ORCPT as smarthost.Envelope has it, "" when absent
}

// actingFor returns the submitter that may act for domain, or nil.
func (t *transaction) actingFor(domain string) *submission.Acting {
	for i := range t.acting {
		if t.acting[i].Domain.Name == domain { // which is never ""
			return &t.acting[i]
		}
	}
	return nil
}

// mayReach says whether the submitter's mail may go to domain: its own domains' mail to everybody, and everybody's to its own domains.
func (t *transaction) mayReach(domain string) bool {
	return t.from == "" || t.actingFor(t.fromDomain) != nil || t.actingFor(domain) != nil
}

// envelope is the part of t's that concerns to.
func (t *transaction) envelope(to []*recipient) *smarthost.Envelope {
	e := &smarthost.Envelope{From: t.from, UTF8: t.utf8, ID: t.id, Return: t.ret}
	for _, r := range to {
		e.To = append(e.To, r.path)
		if len(r.notify) > 0 {
			if e.Notify == nil {
				e.Notify = make(map[string][]string)
			}
			e.Notify[r.path] = r.notify
		}
		if r.original != "" {
			if e.Original == nil {
				e.Original = make(map[string]string)
			}
			e.Original[r.path] = r.original
		}
	}
	return e
}

var (
	errMailbox = errors.New("not a mailbox")
	errUTF8    = errors.New("a mailbox that needs SMTPUTF8")
)

// maxPath is the length of a mailbox (RFC 5321 §4.5.3.1.3).
const maxPath = 256

// domainOf checks a mailbox as the SMTP library parsed it, the quotes of its local part taken away, and returns its domain as an
// A-label, "" for what can be no domain of ours: an address literal, or a host name as only mail knows it (root@web_1.example).
func domainOf(mailbox string, utf8 bool) (string, error) {
	local, host, found := strings.Cut(mailbox, "@")
	if !found || local == "" || host == "" || len(mailbox) > maxPath || strings.ContainsAny(host, " \"(),;<>\\@") {
		return "", errMailbox
	}
	for _, c := range []byte(mailbox) {
		switch {
		case c >= 0x80 && !utf8:
			return "", errUTF8
		case c < ' ' || c == 0x7f:
			return "", errMailbox
		}
	}
	if strings.HasPrefix(host, "[") {
		return "", nil
	}
	domain, err := cua.Domain(host)
	if err != nil && !hostName.MatchString(host) {
		return "", errMailbox
	}
	return domain, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)
