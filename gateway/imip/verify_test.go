package imip_test

import (
	"bytes"
	"crypto"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/cua"
)

// A mail counts as its originator's word when a signature of the domain, aligned by DMARC, holds over it.
//
// Proves: IS-SUB-2
func TestSignaturesProveTheSender(t *testing.T) {
	const proven, no = "sender.example by dkim d=sender.example", "not-proven"
	plain := invitation(t)
	good := signed(t, plain, "sender.example", "ed", "ed")
	strict := txt("_dmarc.sender.example", "v=DMARC1; p=none; adkim=s")
	sub := replaced(plain, "From: \"Ada Lovelace\" <ada@sender.example>", "From: <ada@mail.sender.example>")
	for _, tt := range []struct {
		rule string
		mail []byte
		zone string
		want string
	}{
		{"Ed25519", good, "", proven},
		{"RSA 2048", signed(t, plain, "sender.example", "rsa", "rsa"), "", proven},
		{"RSA 1024", signed(t, plain, "sender.example", "rsa1024", "rsa1024"), "", proven},
		{"simple/simple", signed(t, plain, "sender.example", "ed", "ed", func(o *dkim.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = dkim.CanonicalizationSimple, dkim.CanonicalizationSimple
		}), "", proven},
		{"d= in capitals", signed(t, plain, "Sender.Example", "ed", "ed"), "", proven},
		{"our own signature", ours(t, plain, "ed"), "", proven},
		{"our own RSA signature", ours(t, plain, "rsa"), "", proven},
		{"a list's signature above", signed(t, good, "evil.example", "ed", "other"), "", proven},
		{"fields that others put on top", append([]byte("Received: from x by y\r\nX-Spam: no\r\n"), good...), "", proven},
		{"lines with bare LF", []byte(strings.ReplaceAll(string(good), "\r\n", "\n")), "", proven},

		{"no signature", plain, "", no},
		{"another body", replaced(good, "invites", "awaits"), "", no},
		{"another Subject", replaced(good, "Subject: Invitation", "Subject: Execution"), "", no},
		{"another's key under our name", signed(t, plain, "sender.example", "ed", "other"), "", no},
		{"another domain", signed(t, plain, "evil.example", "ed", "other"), "", no},
		{"a public suffix", signed(t, plain, "example", "ed", "other"), record("ed._domainkey.example", keys["other"], ""), no},
		{"no key", signed(t, plain, "sender.example", "nokey", "ed"), "", no},
		{"a revoked key", signed(t, plain, "sender.example", "revoked", "ed"), "", no},
		{"a key in test mode", signed(t, plain, "sender.example", "testing", "ed"), "", no},
		{"a key for another service", signed(t, plain, "sender.example", "web", "ed"), "", no},
		{"an overlong key record", signed(t, plain, "sender.example", "long", "ed"), "", no},
		{"two keys", good, record("ed._domainkey.sender.example", keys["other"], ""), no},
		{"by hand", byHand(t, plain, crypto.SHA256, ""), "", proven},
		{"l=", append(byHand(t, plain, crypto.SHA256, fmt.Sprintf(" l=%d;", len(plain)-bytes.Index(plain, []byte("\r\n\r\n"))-4)), "more"...), "", no},
		{"rsa-sha1", byHand(t, plain, crypto.SHA1, ""), "", no},
		{"expired", signed(t, plain, "sender.example", "ed", "ed", func(o *dkim.SignOptions) { o.Expiration = time.Now().Add(-time.Hour) }), "", no},
		{"a selector that is no name", signed(t, plain, "sender.example", "e/d", "ed"), "", no},
		{"the sixth signature", append(bytes.Repeat([]byte("DKIM-Signature: v=1; d=evil.example\r\n"), 5), good...), "", no},
		{"a second From", append([]byte("From: ada@sender.example\r\n"), good...), "", "repeated-field"},
		{"a second From of odd spelling", append([]byte("fRoM : eve@evil.example\r\n"), good...), "", "repeated-field"},
		{"a second Content-Type", append([]byte("Content-Type: text/calendar\r\n"), good...), "", "repeated-field"},
		{"two addresses in From", signed(t, replaced(plain, "<ada@sender.example>", "<ada@sender.example>, eve@evil.example"), "sender.example", "ed", "ed"), "", "from"},
		{"no From", []byte("To: x@y.example\r\n\r\n"), "", "from"},
		{"From is another of the domain", signed(t, replaced(plain, "<ada@sender.example>", "<bob@sender.example>"), "sender.example", "ed", "ed"), "", "from-mismatch"},
		{"the name says what the address does not", signed(t, replaced(plain, "\"Ada Lovelace\" <ada@sender.example>", "\"ada@sender.example\" <eve@evil.example>"), "evil.example", "ed", "other"), "", "from-mismatch"},
		{"From is percent-encoded, which mail does not know", signed(t, replaced(plain, "<ada@sender.example>", "<ad%61@sender.example>"), "sender.example", "ed", "ed"), "", "from-mismatch"},
		{"From looks like a URI", signed(t, replaced(plain, "<ada@sender.example>", "<\"mailto:ada\"@sender.example>"), "sender.example", "ed", "ed"), "", "from"},
		{"From in capitals", signed(t, replaced(plain, "<ada@sender.example>", "<Ada@SENDER.example>"), "sender.example", "ed", "ed"), "", proven},
		{"a signature with far too many names", append([]byte("DKIM-Signature: v=1; h="+strings.Repeat("a:", 600)+"\r\n"), good...), "", "malformed"},
		{"a bare CR in the header", append([]byte("X: a\rFrom: eve@evil.example\r\n"), good...), "", "malformed"},

		{"the parent's subdomain signs, relaxed by default", signed(t, plain, "mail.sender.example", "ed", "other"), "", proven[:len("sender.example by dkim d=")] + "mail.sender.example"},
		{"the parent's subdomain signs, relaxed by record", signed(t, plain, "mail.sender.example", "ed", "other"), txt("_dmarc.sender.example", "v=DMARC1; p=reject; adkim=r"), "sender.example by dkim d=mail.sender.example"},
		{"the parent's subdomain signs, strict", signed(t, plain, "mail.sender.example", "ed", "other"), strict, no},
		{"the domain itself signs, strict", good, strict, proven},
		{"a broken record is none", signed(t, plain, "mail.sender.example", "ed", "other"), txt("_dmarc.sender.example", "v=DMARC1; adkim=s"), "sender.example by dkim d=mail.sender.example"},
		{"From of a subdomain, the parent signs", signed(t, sub, "sender.example", "ed", "ed"), "", "mail.sender.example by dkim d=sender.example"},
		{"From of a subdomain, the organization is strict", signed(t, sub, "sender.example", "ed", "ed"), strict, no},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, _ := world(t, tt.zone)
			originator := ada
			if bytes.Contains(tt.mail, []byte("<ada@mail.sender.example>")) {
				originator = cua.MustParse("mailto:ada@mail.sender.example")
			}
			if got := verdict(v.Verify(t.Context(), tt.mail, originator)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Proves: IS-SUB-2
func TestShortRSAKeysProveNothing(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	keys["rsa512"] = rsaKey(512)
	defer delete(keys, "rsa512")
	v, _ := world(t, record("rsa512._domainkey.sender.example", keys["rsa512"], ""))
	if got := verdict(v.Verify(t.Context(), signed(t, invitation(t), "sender.example", "rsa512", "rsa512"), ada)); got != "not-proven" {
		t.Error(got)
	}
}

// Whoever puts another boundary on somebody's signed mail makes other parts of it. Many sign no Content-Type: their mail counts
// when it could not have been anything else.
//
// Proves: IS-SUB-2
func TestContentTypeCannotBeExchanged(t *testing.T) {
	const from = "From: ada@sender.example\r\nMIME-Version: 1.0\r\n"
	unsigned := names("From", "MIME-Version")
	message := entity(calendarType, "8bit", string(object(t, "invitation")))
	calendarAlone := "Content-Type: " + calendarType + "\r\n\r\n" + string(object(t, "invitation"))
	quoting := "Eve wrote:\r\n\r\n--evil\r\n" + message + "\r\n--evil--\r\n"
	preamble := from + "Content-Type: multipart/mixed; boundary=b\r\n\r\nThis is a multi-part message in MIME format.\r\n\r\n--b\r\n" + message + "\r\n--b--\r\n"
	sign := func(mail string, edit ...func(*dkim.SignOptions)) []byte {
		return signed(t, []byte(mail), "sender.example", "ed", "ed", edit...)
	}
	exchange := func(mail []byte) []byte {
		return replaced(mail, "Content-Type: text/plain\r\n", "Content-Type: multipart/mixed; boundary=evil\r\n")
	}
	for _, tt := range []struct {
		rule   string
		mail   []byte
		proven bool
	}{
		{"a quotation that becomes a part", exchange(sign(from+"Content-Type: text/plain\r\n\r\n"+quoting, unsigned)), false},
		{"the same in a mail that began with another part", replaced(sign(from+multi("alternative", "b", "Content-Type: text/plain\r\n\r\n"+quoting), unsigned), `boundary="b"`, "boundary=evil"), false},
		{"the same where Content-Type is signed", exchange(sign(from+"Content-Type: text/plain\r\n\r\n"+quoting, names("From", "Content-Type"))), false},
		{"plain text that becomes a calendar", replaced(sign(from+"Content-Type: text/plain\r\n\r\n"+string(object(t, "invitation")), unsigned), "text/plain", "text/calendar; method=REQUEST"), false},
		{"a multipart as it was", sign(from+multi("alternative", "b", plainPart, message), unsigned), true},
		{"a multipart with the usual preamble", sign(preamble, unsigned), true},
		{"a calendar alone, its type and encoding signed", sign(from+message, names("From", "Content-Type", "Content-Transfer-Encoding")), true},
		{"a calendar alone, its encoding not signed", sign(from+message, names("From", "Content-Type")), false},
		{"a calendar alone, its type not signed", sign(from+message, unsigned), false},
		{"a calendar alone, another encoding put on it", []byte("Content-Transfer-Encoding: quoted-printable\r\n" +
			string(sign(from+calendarAlone, names("From", "Content-Type", "MIME-Version")))), false},
		{"a calendar alone without an encoding", sign(from+calendarAlone, names("From", "Content-Type")), true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, _ := world(t)
			got := verdict(v.Verify(t.Context(), tt.mail, ada))
			if proven := strings.HasPrefix(got, "sender.example by dkim"); proven != tt.proven || !proven && got != "not-proven" {
				t.Error(got)
			}
		})
	}
}

// Sender counts in place of From (RFC 6047 §3), if a signature covers it.
//
// Proves: IS-SUB-2
func TestSender(t *testing.T) {
	other := replaced(invitation(t), "\"Ada Lovelace\" <ada@sender.example>", "<assistant@evil.example>")
	withSender := append([]byte("Sender: ada@sender.example\r\n"), other...)
	for _, tt := range []struct {
		rule string
		mail []byte
		want string
	}{
		{"signed", signed(t, withSender, "sender.example", "ed", "ed", names("From", "Sender", "Content-Type")), "sender.example by dkim d=sender.example"},
		{"another of the domain", signed(t, replaced(withSender, "Sender: ada", "Sender: bob"), "sender.example", "ed", "ed", names("From", "Sender", "Content-Type")), "from-mismatch"},
		{"put on afterwards", append([]byte("Sender: ada@sender.example\r\n"), signed(t, other, "sender.example", "ed", "ed")...), "not-proven"},
		{"vouched for by From's domain only", signed(t, withSender, "evil.example", "ed", "other", names("From", "Sender", "Content-Type")), "not-proven"},
		{"Authentication-Results do not speak of Sender", results(withSender, "mx.receiver.example; dmarc=pass header.from=sender.example; dkim=pass header.d=sender.example"), "not-proven"},
		{"two of them", append([]byte("Sender: ada@sender.example\r\n"), withSender...), "repeated-field"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, _ := world(t)
			if got := verdict(v.Verify(t.Context(), tt.mail, ada)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Where DNS does not answer, nothing is decided; a stranger cannot make us wait for his.
//
// Proves: IS-SUB-2
func TestDNSThatDoesNotAnswer(t *testing.T) {
	for _, tt := range []struct{ rule, fail, domain, want string }{
		{"the key", "ed._domainkey.sender.example", "sender.example", "transient"},
		{"the DMARC record", "_dmarc.sender.example", "mail.sender.example", "transient"},
		{"the DMARC record, where it does not matter", "_dmarc.sender.example", "sender.example", "sender.example by dkim d=sender.example"},
		{"another's key", "ed._domainkey.evil.example", "evil.example", "not-proven"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, server := world(t)
			server.Fail(tt.fail, dns.RcodeServerFailure)
			key := "other"
			if tt.domain == "sender.example" {
				key = "ed"
			}
			if got := verdict(v.Verify(t.Context(), signed(t, invitation(t), tt.domain, "ed", key), ada)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == "not-proven" && server.Queries(tt.fail, dns.TypeTXT) != 0 {
				t.Error("a stranger's name was asked for")
			}
		})
	}
	t.Run("Authentication-Results that need the DMARC record", func(t *testing.T) {
		v, server := world(t)
		server.Fail("_dmarc.sender.example", dns.RcodeServerFailure)
		mail := results(invitation(t), "mx.receiver.example; dkim=pass header.d=mail.sender.example")
		if got := verdict(v.Verify(t.Context(), mail, ada)); got != "transient" {
			t.Error(got)
		}
	})
}

// Proves: IS-SUB-2
func TestSignaturesThatBeginOrEndElsewhere(t *testing.T) {
	v, _ := world(t)
	mail := signed(t, invitation(t), "sender.example", "ed", "ed", func(o *dkim.SignOptions) { o.Expiration = time.Now().Add(time.Hour) })
	for _, tt := range []struct {
		rule string
		now  time.Duration
		want string
	}{
		{"now", 0, "sender.example by dkim d=sender.example"},
		{"by our clock expired", 2 * time.Hour, "not-proven"},
		{"by our clock from the future", -10 * time.Minute, "not-proven"},
	} {
		v.Now = func() time.Time { return time.Now().Add(tt.now) }
		if got := verdict(v.Verify(t.Context(), mail, ada)); got != tt.want {
			t.Errorf("%s: %s", tt.rule, got)
		}
	}
}
