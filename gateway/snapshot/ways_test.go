package snapshot_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The domains of valid that these tests change.
const (
	viaCalDAV  = 2
	viaMail    = 3 // with a server of its own
	viaRelayed = 4 // by the smarthost
)

// Where messages go: the calendar systems of local users, and the slower way to others.
func TestActivateChecksBackends(t *testing.T) {
	calDAV := func(change func(*snapshot.CalDAV)) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) { change(s.Domains[viaCalDAV].Backend.CalDAV) }
	}
	freeBusy := func(change func(*snapshot.Backend)) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) { change(s.Domains[viaCalDAV].FreeBusyBackend) }
	}
	for _, tc := range []struct {
		place  string
		change func(*snapshot.Snapshot)
	}{
		{"domains[2].backend.calDAV", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Backend.CalDAV = nil }},
		{"domains[2].backend.iMIP", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Backend.IMIP = &snapshot.IMIP{} }},
		{"domains[2].backend.calDAV.url", calDAV(func(c *snapshot.CalDAV) { c.URL = "" })},
		{"domains[2].backend.calDAV.url", calDAV(func(c *snapshot.CalDAV) { c.URL = "https://admin:hunter2@calendar.example.org/" })},
		{"domains[2].backend.calDAV.url", calDAV(func(c *snapshot.CalDAV) { c.URL += "?user=hunter2" })},
		{"domains[2].backend.calDAV.profile", calDAV(func(c *snapshot.CalDAV) { c.Profile = "Exchange" })},
		{"domains[2].backend.calDAV.profile", calDAV(func(c *snapshot.CalDAV) { c.Profile = "" })},
		{"domains[2].backend.calDAV.principalTemplate", calDAV(func(c *snapshot.CalDAV) { c.PrincipalTemplate = "/users/" })},
		{"domains[2].backend.calDAV.principalTemplate", calDAV(func(c *snapshot.CalDAV) { c.Profile, c.PrincipalTemplate = snapshot.ProfileRadicale, "" })},
		{"domains[2].backend.calDAV.freeBusyPrincipal", calDAV(func(c *snapshot.CalDAV) { c.FreeBusyPrincipal = "/{local}/" })},
		{"domains[2].backend.calDAV.token", calDAV(func(c *snapshot.CalDAV) { c.Token = "hunter2" })},
		{"domains[2].backend.calDAV.token", calDAV(func(c *snapshot.CalDAV) { c.Username, c.Password, c.Token = "", "", "hunter2\r\nX: y" })},
		{"domains[2].backend.calDAV.username", calDAV(func(c *snapshot.CalDAV) { c.Username = "hunter2:admin" })},
		{"domains[2].backend.calDAV.username", calDAV(func(c *snapshot.CalDAV) { c.Username = "hunter2\x00" })},
		{"domains[2].backend.calDAV.username", calDAV(func(c *snapshot.CalDAV) { c.Username = "" })},
		{"domains[2].backend.calDAV.password", calDAV(func(c *snapshot.CalDAV) { c.Password = "" })},
		{"domains[2].backend.calDAV.password", calDAV(func(c *snapshot.CalDAV) { c.Password = "hunter2\r\n" })},
		{"domains[2].freeBusyBackend.type", freeBusy(func(b *snapshot.Backend) { *b = snapshot.Backend{Type: snapshot.BackendIMIP, IMIP: &snapshot.IMIP{}} })},
		{"domains[2].freeBusyBackend.type", freeBusy(func(b *snapshot.Backend) { *b = snapshot.Backend{} })},
		{"domains[2].freeBusyBackend.calDAV", freeBusy(func(b *snapshot.Backend) { b.CalDAV = nil })},
		{"domains[2].freeBusyBackend.calDAV.url", freeBusy(func(b *snapshot.Backend) { b.CalDAV.URL = "caldav://calendar.example.org/" })},
		{"domains[2].fallback", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Fallback = "Fax" }},
		{"domains[2].fallback", func(s *snapshot.Snapshot) { s.Gateway.Submission.Smarthost = nil }},
		{"domains[3].backend.iMIP", func(s *snapshot.Snapshot) { s.Domains[viaMail].Backend.IMIP = nil }},
		{"domains[3].backend.iMIP.server.host", func(s *snapshot.Snapshot) { s.Domains[viaMail].Backend.IMIP.Server.Host = "" }},
		{"domains[4].backend.iMIP.server", func(s *snapshot.Snapshot) {
			s.Domains[viaCalDAV].Fallback, s.Gateway.Submission.Smarthost = "", nil
		}},
		{"domains[2].signing.keys[0].record", func(s *snapshot.Snapshot) {
			k := &s.Domains[viaCalDAV].Signing.Keys[0]
			k.Selector, k.Record = "other", strings.Replace(k.Record, "p=", "s=ischedule; p=", 1)
		}},
		{"domains[2].signing.mail", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Signing.Keys = nil }},
		{"policies[2].outbound.signatureProfile", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.SignatureProfile = "Old" }},
	} {
		refused(t, tc.place, tc.change)
	}
	if s := valid(t); s.Domains[viaRelayed].Backend.IMIP.Server != nil {
		t.Error("the last domain is the one that needs the smarthost")
	}
}

// RFC 6376 §3.6.1: a record whose s= names mail, among others, is one for mail.
func TestActivateTakesKeysForMail(t *testing.T) {
	for _, services := range []string{"s=*; ", "s=ischedule:email; "} {
		s := valid(t)
		k := &s.Domains[viaCalDAV].Signing.Keys[0]
		k.Selector, k.Record = "other", strings.Replace(k.Record, "p=", services+"p=", 1)
		activate(t, s)
	}
}

// How mail comes in, and leaves.
func TestActivateChecksSubmission(t *testing.T) {
	smarthost := func(change func(*snapshot.SMTPServer)) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) { change(s.Gateway.Submission.Smarthost) }
	}
	basic := func(change func(*snapshot.Basic)) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) { change(s.Domains[viaCalDAV].Submitters[1].Basic) }
	}
	revoked, err := dkim.FormatRecord(ed25519.PublicKey(make([]byte, 32)), false)
	if err != nil {
		t.Fatal(err)
	}
	revoked, _, _ = strings.Cut(revoked, "p=")
	for _, tc := range []struct {
		place  string
		change func(*snapshot.Snapshot)
	}{
		{"gateway.submission.smtp.maxMessageBytes", func(s *snapshot.Snapshot) { s.Gateway.Submission.SMTP.MaxMessageBytes = 0 }},
		{"gateway.submission.smtp.maxRecipients", func(s *snapshot.Snapshot) { s.Gateway.Submission.SMTP.MaxRecipients = -1 }},
		{"gateway.submission.smtp.authservID", func(s *snapshot.Snapshot) { s.Gateway.Submission.SMTP.AuthservID = "mx example" }},
		{"gateway.submission.smarthost.host", smarthost(func(m *snapshot.SMTPServer) { m.Host = "smtp.example.org:25" })},
		{"gateway.submission.smarthost.host", smarthost(func(m *snapshot.SMTPServer) { m.Host = "SMTP.example.org" })},
		{"gateway.submission.smarthost.port", smarthost(func(m *snapshot.SMTPServer) { m.Port = 0 })},
		{"gateway.submission.smarthost.port", smarthost(func(m *snapshot.SMTPServer) { m.Port = 65536 })},
		{"gateway.submission.smarthost.tls", smarthost(func(m *snapshot.SMTPServer) { m.TLS = "" })},
		{"gateway.submission.smarthost.tls", smarthost(func(m *snapshot.SMTPServer) { m.TLS = snapshot.SMTPPlain })},
		{"gateway.submission.smarthost.username", smarthost(func(m *snapshot.SMTPServer) { m.Username = "" })},
		{"gateway.submission.smarthost.username", smarthost(func(m *snapshot.SMTPServer) { m.Username = "a\x00b" })},
		{"gateway.submission.smarthost.password", smarthost(func(m *snapshot.SMTPServer) { m.Password = "" })},
		{"gateway.submission.smarthost.password", smarthost(func(m *snapshot.SMTPServer) { m.Password = "hunter2\r\nQUIT" })},
		{"domains[2].submitters[0]", func(s *snapshot.Snapshot) {
			s.Domains[viaCalDAV].Submitters[0].Basic = s.Domains[viaCalDAV].Submitters[1].Basic
		}},
		{"domains[2].submitters[0]", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Submitters[0].TokenSHA256 = make([]byte, 32) }},
		{"domains[2].submitters[0].pinnedKey.selector", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Submitters[0].PinnedKey.Selector = "" }},
		{"domains[2].submitters[0].pinnedKey.record", func(s *snapshot.Snapshot) { s.Domains[viaCalDAV].Submitters[0].PinnedKey.Record = revoked + "p=" }},
		{"domains[2].submitters[1].basic.username", basic(func(b *snapshot.Basic) { b.Username = "" })},
		{"domains[2].submitters[1].basic.username", basic(func(b *snapshot.Basic) { b.Username = "a:hunter2" })},
		{"domains[2].submitters[1].basic.passwordSHA256", basic(func(b *snapshot.Basic) { b.PasswordSHA256 = []byte("hunter2") })},
	} {
		refused(t, tc.place, tc.change)
	}
}

// Proves: IS-BACK-3
func TestPrincipalTemplates(t *testing.T) {
	for template, want := range map[string]bool{
		"/{local}":                             true,
		"/{address}/":                          true,
		"/dav/principals/user/{local}/":        true,
		"/caldav.php/{local}/":                 true,
		"/a%20b/{address}/calendars/{local}":   true,
		"/principals/~a/@b:c/{local}/":         true,
		"":                                     false,
		"/":                                    false,
		"{local}":                              false,
		"dav/{local}":                          false,
		"https://calendar.example.org/{local}": false,
		"//calendar.example.org/{local}":       false,
		"/users/":                              false,
		"/{local}/{local}":                     false,
		"/{address}/{local}/{address}":         false,
		"/user-{local}/":                       false, // a segment of its own
		"/{local}@example.org/":                false,
		"/{localpart}/":                        false,
		"/{}/{local}":                          false,
		"/../{local}":                          false,
		"/./{local}":                           false,
		"/%2e%2e/{local}":                      false,
		"/a//{local}":                          false,
		"/{local}//":                           false,
		"/{local}?user=1":                      false,
		"/{local}#here":                        false,
		"/a b/{local}":                         false,
		"/%zz/{local}":                         false,
		"/\r\nX: y/{local}":                    false,
		"/b\u00fccher/{local}":                 false,
	} {
		if err := snapshot.CheckPrincipalTemplate(template); (err == nil) != want {
			t.Errorf("%q: %v", template, err)
		}
	}
	for path, want := range map[string]bool{
		"/dav/principals/user/calfed/": true,
		"/calfed":                      true,
		"/":                            false,
		"":                             false,
		"calfed":                       false,
		"/{local}/":                    false,
		"/a/../b":                      false,
	} {
		if err := snapshot.CheckPath(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
		}
	}
}
