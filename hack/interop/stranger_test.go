//go:build interop

package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// stranger is a domain that knows mail only, signed by DKIM as most is.
type stranger struct {
	domain string
	key    *rsa.PrivateKey
}

func newStranger(r *rig) *stranger {
	r.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		r.t.Fatal(err)
	}
	return &stranger{"mail.example", key}
}

// records are its DNS records, for dnsmasq, which wants strings of at most 255 octets.
func (s *stranger) records(t *testing.T) string {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	return fmt.Sprintf("txt-record=mx._domainkey.%s,%q,%q\ntxt-record=_dmarc.%s,%q\nlocal=/%s/",
		s.domain, record[:200], record[200:], s.domain, "v=DMARC1; p=reject", s.domain)
}

// reply is the answer of guest as a mail client writes it, with LF.
func (s *stranger) reply(uid, organizer, partstat string) string {
	calendar := fmt.Sprintf("BEGIN:VCALENDAR\nPRODID:-//Mail client//EN\nVERSION:2.0\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:%s\n"+
		"DTSTAMP:%s\nDTSTART:%s\nDTEND:%s\nSEQUENCE:0\nSUMMARY:Talk\nORGANIZER:mailto:%s\nATTENDEE;CN=Guest;PARTSTAT=%s:mailto:guest@%s\n"+
		"END:VEVENT\nEND:VCALENDAR\n", uid, time.Now().Add(time.Minute).UTC().Format(utc), day.Add(10*time.Hour).Format(utc),
		day.Add(11*time.Hour).Format(utc), organizer, partstat, s.domain)
	part := func(contentType, text string) string {
		return "--=_b\nContent-Type: " + contentType + "\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) + "\n"
	}
	return fmt.Sprintf("From: Guest <guest@%s>\nTo: <%s>\nSubject: Accepted: Talk\nDate: %s\nMessage-ID: <%s@%s>\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/alternative; boundary=\"=_b\"\n\n%s%s--=_b--\n",
		s.domain, organizer, time.Now().UTC().Format(time.RFC1123Z), rand.Text(), s.domain,
		part("text/plain; charset=utf-8", "Guest says "+partstat+".\n"),
		part("text/calendar; charset=utf-8; method=REPLY", calendar))
}

// signed puts the domain's DKIM-Signature in front of a mail with LF; the result has CRLF.
func (s *stranger) signed(t *testing.T, mail string) string {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(strings.ReplaceAll(mail, "\n", "\r\n")), &dkim.SignOptions{
		Domain: s.domain, Selector: "mx", Signer: s.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
