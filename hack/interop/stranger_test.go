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
