package compile

import (
	"net/netip"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The effective bounds of mail where a gateway sets none.
const (
	defaultMaxMessageBytes = 32 << 20
	defaultMailRecipients  = 100
)

// submission compiles how mail comes in and leaves. IS-SUB-2.
func (c *compiler) submission(at spot, s *v1alpha1.Submission) snapshot.Submission {
	var out snapshot.Submission
	if s == nil {
		return out
	}
	if s.Smarthost != nil {
		out.Smarthost = c.mailServer(at.to("smarthost"), s.Smarthost)
	}
	if s.SMTP == nil {
		return out
	}
	if s.Smarthost == nil {
		at.to("smtp").error(v1alpha1.ReasonInvalidValue, "needs the smarthost beside it: mail that is no invitation must go somewhere")
	}
	out.SMTP = &snapshot.SMTPSubmission{
		MaxMessageBytes: defaultMaxMessageBytes, MaxRecipients: defaultMailRecipients, AuthservID: s.SMTP.AuthservID,
	}
	if s.SMTP.MaxMessageSize != nil {
		out.SMTP.MaxMessageBytes = *s.SMTP.MaxMessageSize
	}
	if s.SMTP.MaxRecipients != nil {
		out.SMTP.MaxRecipients = int(*s.SMTP.MaxRecipients)
	}
	return out
}

// warnOfNobody says that a way in for mail has no one to use it.
func (c *compiler) warnOfNobody(gateway spot, out *snapshot.Submission, domains []snapshot.Domain) {
	unsure := slices.ContainsFunc(c.leftOut, func(o Object) bool {
		return o.Kind == v1alpha1.KindFederatedDomain
	})
	if out.SMTP == nil || unsure || slices.ContainsFunc(domains, func(d snapshot.Domain) bool {
		return slices.ContainsFunc(d.Submitters, func(s snapshot.Submitter) bool { return s.Basic != nil })
	}) {
		return
	}
	gateway.to("submission").to("smtp").warn(v1alpha1.ReasonUnused, "no submitter of the gateway's domains has a basicRef that can be used: nobody can hand mail over")
}

// mailServer compiles a server that mail is handed to.
func (c *compiler) mailServer(at spot, m *v1alpha1.MailServer) *snapshot.SMTPServer {
	out := &snapshot.SMTPServer{Host: m.Host, Port: int(m.Port), TLS: snapshot.SMTPTLS(m.TLS)}
	if _, err := netip.ParseAddr(m.Host); err != nil {
		if out.Host, err = cua.Domain(m.Host); err != nil {
			at.to("host").error(v1alpha1.ReasonInvalidValue, "%q is neither a host name nor an IP address", m.Host)
		}
	}
	c.warnOfEgress(at.to("host"), out.Host)
	switch {
	case m.Port == 25 || m.Port == 465 || m.Port == 587 || m.Port >= 1024 && m.Port <= 65535:
	default:
		at.to("port").error(v1alpha1.ReasonInvalidValue, "port %d may not be connected to: only 25, 465, 587 and ports from 1024 on may", m.Port)
	}
	switch m.TLS {
	case v1alpha1.MailStartTLS, v1alpha1.MailImplicit, v1alpha1.MailPlain:
	default:
		at.to("tls").error(v1alpha1.ReasonInvalidValue, "%q is none of StartTLS, Implicit and None", m.TLS)
	}
	if m.CredentialsRef == nil {
		return out
	}
	if m.TLS == v1alpha1.MailPlain {
		at.to("credentialsRef").error(v1alpha1.ReasonInvalidValue, "credentials need TLS: choose tls StartTLS or Implicit")
	}
	out.Username, out.Password, _ = c.login(at.to("credentialsRef").to("name"), m.CredentialsRef.Name)
	return out
}
