package compile

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// backend compiles where messages go; what it returns is of no use once at has failed.
func (c *compiler) backend(at spot, b *v1alpha1.Backend) snapshot.Backend {
	out := snapshot.Backend{Type: snapshot.BackendType(b.Type)}
	switch {
	case b.Type == v1alpha1.BackendISchedule && b.ISchedule != nil:
		c.target(at.to("iSchedule").to("url"), string(b.ISchedule.URL), "http", "https")
		out.ISchedule = &snapshot.ISchedule{URL: string(b.ISchedule.URL)}
	case b.Type == v1alpha1.BackendCalDAV && b.CalDAV != nil:
		out.CalDAV = c.calDAV(at.to("calDAV"), b.CalDAV)
	case b.Type == v1alpha1.BackendIMIP:
		out.IMIP = c.iMIP(at, b.IMIP)
	case b.Type == v1alpha1.BackendISchedule:
		at.error(v1alpha1.ReasonInvalidValue, "type %q needs the member iSchedule", b.Type)
	case b.Type == v1alpha1.BackendCalDAV:
		at.error(v1alpha1.ReasonInvalidValue, "type %q needs the member calDAV", b.Type)
	default:
		at.to("type").error(v1alpha1.ReasonInvalidValue, "%q is no back end: ISchedule, CalDAV and IMIP are", b.Type)
	}
	return out
}

func (c *compiler) freeBusyBackend(at spot, b *v1alpha1.Backend) *snapshot.Backend {
	if b.Type == v1alpha1.BackendIMIP {
		at.to("type").error(v1alpha1.ReasonInvalidValue, "mail answers no free/busy question: choose ISchedule or CalDAV")
		return nil
	}
	out := c.backend(at, b)
	return &out
}

// asksFreeBusy says whether a domain that accepts this is ever asked.
func (c *compiler) asksFreeBusy(accepts []snapshot.Messages) bool {
	const freeBusy = string(v1alpha1.ComponentFreeBusy)
	return slices.ContainsFunc(c.capabilities.Messages, func(m ischedule.Component) bool { return m.Name == freeBusy }) &&
		(len(accepts) == 0 || slices.ContainsFunc(accepts, func(m snapshot.Messages) bool { return m.Component == freeBusy }))
}

// warnOfFreeBusy foresees that the back end which is asked free/busy cannot answer. IS-BACK-5.
func warnOfFreeBusy(at spot, b *v1alpha1.Backend) {
	if b.Type != v1alpha1.BackendCalDAV || b.CalDAV == nil {
		return
	}
	at = at.to("calDAV")
	switch s := b.CalDAV; {
	case s.Profile == v1alpha1.ProfileRadicale && s.FreeBusyPrincipal != "":
		at.to("freeBusyPrincipal").warn(v1alpha1.ReasonNoEffect, "Radicale has no scheduling Outbox to ask: remove it; bypassACL: true alone makes free/busy work")
	case s.Profile == v1alpha1.ProfileRadicale && !s.BypassACL:
		at.warn(v1alpha1.ReasonNoEffect, "every free/busy question is refused: set bypassACL: true, and the credentials answer for all calendars that they can read")
	case s.FreeBusyPrincipal == "" && !s.BypassACL:
		at.warn(v1alpha1.ReasonNoEffect, "every free/busy question is refused: name a freeBusyPrincipal; or set bypassACL: true, and the credentials answer for all calendars that they can read")
	}
}

// calDAV compiles a calendar server that messages are written into. IS-BACK-3.
func (c *compiler) calDAV(at spot, s *v1alpha1.CalDAV) *snapshot.CalDAV {
	out := &snapshot.CalDAV{
		URL: string(s.URL), Profile: snapshot.CalDAVProfile(s.Profile), PrincipalTemplate: s.PrincipalTemplate,
		FreeBusyPrincipal: string(s.FreeBusyPrincipal), BypassACL: s.BypassACL,
	}
	if c.target(at.to("url"), out.URL, "http", "https") && strings.Contains(out.URL, "?") {
		at.to("url").error(v1alpha1.ReasonInvalidValue, "the URL must not carry a query")
	}
	switch s.Profile {
	case v1alpha1.ProfileCyrus, v1alpha1.ProfileDAViCal, v1alpha1.ProfileRadicale, v1alpha1.ProfileSabreDAV:
	default:
		at.to("profile").error(v1alpha1.ReasonInvalidValue, "%q is no profile: Cyrus, DAViCal, Radicale and SabreDAV are", s.Profile)
	}
	if s.Profile == v1alpha1.ProfileRadicale && s.PrincipalTemplate == "" {
		at.to("principalTemplate").error(v1alpha1.ReasonInvalidValue, "Radicale does not know its users' addresses: say who is who, such as /{local}/")
	}
	if s.PrincipalTemplate != "" {
		if err := snapshot.CheckPrincipalTemplate(s.PrincipalTemplate); err != nil {
			at.to("principalTemplate").error(v1alpha1.ReasonInvalidValue, "%s, such as /dav/principals/user/{local}/", err)
		}
	}
	if s.FreeBusyPrincipal != "" {
		if err := snapshot.CheckPath(string(s.FreeBusyPrincipal)); err != nil {
			at.to("freeBusyPrincipal").error(v1alpha1.ReasonInvalidValue, "%s, such as /dav/principals/user/calfed/", err)
		}
	}
	if s.CredentialsRef != nil {
		at := at.to("credentialsRef").to("name")
		out.Username, out.Password, out.Token = c.calDAVCredentials(at, s.CredentialsRef.Name)
		if u, err := url.Parse(out.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) && !at.failed() {
			at.warn(v1alpha1.ReasonWeak, "the credentials in Secret %q cross the network in clear: use an https URL", s.CredentialsRef.Name)
		}
	}
	return out
}

// iMIP compiles a calendar system that only reads mail.
func (c *compiler) iMIP(at spot, m *v1alpha1.IMIP) *snapshot.IMIP {
	if m != nil && m.Server != nil {
		return &snapshot.IMIP{Server: c.mailServer(at.to("iMIP").to("server"), m.Server)}
	}
	if !c.smarthost {
		at.error(v1alpha1.ReasonRefNotFound, "there is no mail server: name one in iMIP.server, or as spec.submission.smarthost of the gateway")
	}
	return &snapshot.IMIP{}
}

// target checks a configured URL: scheme, port (IS-DISC-10), nothing that does not belong there.
func (c *compiler) target(at spot, text string, schemes ...string) bool {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.Opaque != "" {
		// the text is not repeated: a password may stand in it
		at.error(v1alpha1.ReasonInvalidValue, "must be an absolute URL with scheme %s", strings.Join(schemes, " or "))
		return false
	}
	if u.User != nil || u.Fragment != "" {
		at.error(v1alpha1.ReasonInvalidValue, "the URL must not carry a user name or a fragment")
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n != 443 && n < 1024 {
		at.error(v1alpha1.ReasonInvalidValue, "port %s may not be connected to: only 443 and ports from 1024 on may", port)
		return false
	}
	c.warnOfEgress(at, u.Hostname())
	return true
}

// warnOfEgress foresees, for literal addresses, what the address guard will say. Names are judged when connected to.
func (c *compiler) warnOfEgress(at spot, host string) {
	addr, literal := literalAddr(host)
	if !literal || addr.IsGlobalUnicast() && !addr.IsPrivate() {
		return
	}
	if !slices.ContainsFunc(c.egress.BackendCIDRs, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		at.warn(v1alpha1.ReasonEgressDenied, "%s is not a public address: connections to it are refused until spec.egress.backendCIDRs of the gateway holds it", addr)
	}
}

// literalAddr is the address that a host is, without a look-up.
func literalAddr(host string) (netip.Addr, bool) {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap(), err == nil
}

func isLoopback(host string) bool {
	addr, literal := literalAddr(host)
	return literal && addr.IsLoopback()
}
