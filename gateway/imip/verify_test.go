package imip_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

// keys are made once: RSA is slow.
var keys = map[string]crypto.Signer{"ed": edKey(), "other": edKey(), "rsa": rsaKey(2048), "rsa1024": rsaKey(1024)}

func edKey() crypto.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func rsaKey(bits int) crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

// record is the TXT line of a key; extra tags come first.
func record(name string, key crypto.Signer, extra string) string {
	kind, p := "rsa", []byte(nil)
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		kind, p = "ed25519", pub
	case *rsa.PublicKey:
		p, _ = x509.MarshalPKIXPublicKey(pub)
	}
	return txt(name, "v=DKIM1; "+extra+"k="+kind+"; p="+base64.StdEncoding.EncodeToString(p))
}

// txt writes a record, in strings as short as DNS demands.
func txt(name, value string) string {
	line := name + ". 60 IN TXT"
	for len(value) > 200 {
		line += " \"" + value[:200] + "\""
		value = value[200:]
	}
	return line + " \"" + value + "\"\n"
}

// world is the DNS that mail is verified against, and the Verifier.
func world(t testing.TB, extra ...string) (*imip.Verifier, *dnstest.Server) {
	t.Helper()
	zone := "example. 60 IN SOA ns.example. admin.example. 1 7200 900 86400 30\n" +
		record("ed._domainkey.sender.example", keys["ed"], "") +
		record("rsa._domainkey.sender.example", keys["rsa"], "") +
		record("rsa1024._domainkey.sender.example", keys["rsa1024"], "") +
		record("testing._domainkey.sender.example", keys["ed"], "t=s:y; ") +
		record("web._domainkey.sender.example", keys["ed"], "s=web; ") +
		txt("revoked._domainkey.sender.example", "v=DKIM1; p=") +
		txt("long._domainkey.sender.example", "v=DKIM1; n="+strings.Repeat("x", 3000)) +
		record("ed._domainkey.mail.sender.example", keys["other"], "") +
		record("ed._domainkey.evil.example", keys["other"], "") +
		strings.Join(extra, "")
	server, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := resolver.New(resolver.Config{Server: server.Addr(), Timeout: time.Second})
	return &imip.Verifier{
		AuthservID: "mx.receiver.example",
		LookupTXT: func(ctx context.Context, name string) ([]string, error) {
			records, _, err := client.LookupTXT(ctx, name)
			var out []string
			for _, parts := range records {
				out = append(out, strings.Join(parts, ""))
			}
			return out, err
		},
	}, server
}

var ada = cua.MustParse("mailto:ada@sender.example")

// invitation is ada's mail, unsigned.
func invitation(t testing.TB) []byte { return compose(t, draft(t, object(t, "invitation"))) }

// signed signs as a mail server does.
func signed(t testing.TB, mail []byte, domain, selector, key string, edit ...func(*dkim.SignOptions)) []byte {
	t.Helper()
	o := &dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: keys[key],
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "Content-Type"},
	}
	for _, e := range edit {
		e(o)
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(mail), o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func names(list ...string) func(*dkim.SignOptions) {
	return func(o *dkim.SignOptions) { o.HeaderKeys = list }
}

func replaced(b []byte, old, replacement string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		panic("nothing to replace: " + old)
	}
	return bytes.Replace(b, []byte(old), []byte(replacement), 1)
}

func results(mail []byte, fields ...string) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		mail = append([]byte("Authentication-Results: "+fields[i]+"\r\n"), mail...)
	}
	return mail
}

func verdict(p *imip.Proof, err error) string {
	var e *imip.Error
	switch {
	case errors.As(err, &e):
		return e.Reason
	case err != nil:
		return "transient"
	}
	return p.Domain + " by " + p.How
}

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

// byHand signs in ways that the library refuses: From only, relaxed/simple.
func byHand(t testing.TB, mail []byte, hash crypto.Hash, tags string) []byte {
	t.Helper()
	sum := func(b []byte) []byte {
		h := hash.New()
		h.Write(b)
		return h.Sum(nil)
	}
	_, body, _ := bytes.Cut(mail, []byte("\r\n\r\n"))
	algorithm := map[crypto.Hash]string{crypto.SHA256: "rsa-sha256", crypto.SHA1: "rsa-sha1"}[hash]
	field := "v=1; a=" + algorithm + "; c=relaxed/simple; d=sender.example; s=rsa;" + tags + " h=from:content-type; bh=" + base64.StdEncoding.EncodeToString(sum(body)) + "; b="
	h, err := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(mail)))
	if err != nil {
		t.Fatal(err)
	}
	covered := "from:" + h.Get("From") + "\r\ncontent-type:" + h.Get("Content-Type") + "\r\ndkim-signature:" + field
	sig, err := keys["rsa"].Sign(rand.Reader, sum([]byte(covered)), hash)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("DKIM-Signature: "+field+base64.StdEncoding.EncodeToString(sig)+"\r\n"), mail...)
}

func ours(t testing.TB, mail []byte, key string) []byte {
	t.Helper()
	b, err := imip.Sign(mail, "sender.example", key, keys[key])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

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
func TestContentTypeCannotBeExchanged(t *testing.T) {
	const from = "From: ada@sender.example\r\nMIME-Version: 1.0\r\n"
	unsigned := names("From", "MIME-Version")
	message := entity(calendarType, "8bit", string(object(t, "invitation")))
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
		{"a calendar alone, its type signed", sign(from+message, names("From", "Content-Type")), true},
		{"a calendar alone, its type not signed", sign(from+message, unsigned), false},
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
func TestSender(t *testing.T) {
	other := replaced(invitation(t), "\"Ada Lovelace\" <ada@sender.example>", "<assistant@evil.example>")
	withSender := append([]byte("Sender: ada@sender.example\r\n"), other...)
	for _, tt := range []struct {
		rule string
		mail []byte
		want string
	}{
		{"signed", signed(t, withSender, "sender.example", "ed", "ed", names("From", "Sender", "Content-Type")), "sender.example by dkim d=sender.example"},
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

// What our own MX found is believed; what a stranger wrote in its name is not.
//
// Proves: IS-SUB-2
func TestAuthenticationResults(t *testing.T) {
	const dmarc, byDKIM, no = "sender.example by authentication-results dmarc=pass", "sender.example by authentication-results dkim=pass", "not-proven"
	const me = "mx.receiver.example; "
	strict := txt("_dmarc.sender.example", "v=DMARC1; p=none; adkim=s")
	for _, tt := range []struct {
		rule   string
		fields []string
		zone   string
		want   string
	}{
		{"dmarc=pass", []string{me + "dmarc=pass header.from=sender.example"}, "", dmarc},
		{"as OpenDMARC and rspamd write", []string{"MX.receiver.example 1;\r\n\tspf=pass smtp.mailfrom=x@y.example;\r\n\tdmarc=pass (policy=none; p=none) header.from=Sender.example (p=none)"}, "", dmarc},
		{"dkim=pass, aligned", []string{me + "dkim=pass header.d=sender.example header.s=x"}, "", byDKIM},
		{"dkim=pass by header.i", []string{me + "dkim=pass header.i=@mail.sender.example"}, "", byDKIM},
		{"dkim=pass, and no record for dmarc", []string{me + "dkim=pass header.d=mail.sender.example; dmarc=none header.from=sender.example"}, "", byDKIM},
		{"dkim=pass of a subdomain, strict", []string{me + "dkim=pass header.d=mail.sender.example"}, strict, no},
		{"dkim=pass of another", []string{me + "dkim=pass header.d=evil.example"}, "", no},
		{"dmarc=pass of another", []string{me + "dmarc=pass header.from=evil.example"}, "", no},
		{"dmarc=pass of nobody", []string{me + "dmarc=pass"}, "", no},
		{"dmarc=fail beats dkim=pass", []string{me + "dkim=pass header.d=sender.example; dmarc=fail header.from=sender.example"}, "", no},
		{"two judgements", []string{me + "dmarc=fail header.from=evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"spf=pass alone", []string{me + "spf=pass smtp.mailfrom=ada@sender.example"}, "", no},
		{"none", []string{me + "none"}, "", no},
		{"another's name", []string{"mx.evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"a name that begins like ours", []string{"mx.receiver.example.evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"ours below another's", []string{"mx.evil.example; none", me + "dmarc=pass header.from=sender.example"}, "", no},
		{"a second one of ours", []string{me + "none", me + "dmarc=pass header.from=sender.example"}, "", no},
		{"in a comment", []string{me + "spf=fail (x; dmarc=pass header.from=sender.example; y)"}, "", no},
		{"in a nested comment", []string{me + "spf=fail (x (y) ; dmarc=pass header.from=sender.example)"}, "", no},
		{"behind an escaped end of a comment", []string{me + `spf=fail (x \); dmarc=pass header.from=sender.example; y)`}, "", no},
		{"in a quoted string", []string{me + `spf=fail smtp.mailfrom="x; dmarc=pass header.from=sender.example; y"@evil.example`}, "", no},
		{"a comment without end", []string{me + "dmarc=pass header.from=sender.example (x"}, "", no},
		{"a quoted string without end", []string{me + `dmarc=pass header.from=sender.example; x="y`}, "", no},
		{"another version", []string{"mx.receiver.example 2; dmarc=pass header.from=sender.example"}, "", no},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, _ := world(t, tt.zone)
			if got := verdict(v.Verify(t.Context(), results(invitation(t), tt.fields...), ada)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("none is believed without a name", func(t *testing.T) {
		v, _ := world(t)
		v.AuthservID = ""
		if got := verdict(v.Verify(t.Context(), results(invitation(t), "; dmarc=pass header.from=sender.example"), ada)); got != no {
			t.Error(got)
		}
	})
	t.Run("a calendar alone is believed by its signature only", func(t *testing.T) {
		v, _ := world(t)
		mail := []byte("From: ada@sender.example\r\n" + entity(calendarType, "8bit", string(object(t, "invitation"))))
		if got := verdict(v.Verify(t.Context(), results(mail, me+"dmarc=pass header.from=sender.example"), ada)); got != no {
			t.Error(got)
		}
	})
}

// Where DNS does not answer, nothing is decided; a stranger cannot make us wait for his.
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

func TestSignRefuses(t *testing.T) {
	if _, err := imip.Sign([]byte("nonsense\r\n\r\n"), "sender.example", "ed", keys["ed"]); err == nil {
		t.Error("signed what is no mail")
	}
	if _, err := imip.Sign([]byte("To: x@y.example\r\n\r\n"), "sender.example", "ed", keys["ed"]); err == nil {
		t.Error("signed a mail without From")
	}
}

// A signature of ours covers what people go by, and no second From can be put beside it.
func TestOurSignature(t *testing.T) {
	mail := ours(t, invitation(t), "ed")
	v, _ := world(t)
	got, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return v.LookupTXT(t.Context(), name)
	}})
	if err != nil || len(got) != 1 || got[0].Err != nil || !got[0].Expiration.IsZero() {
		t.Fatalf("%+v %v", got, err)
	}
	signs := fmt.Sprint(got[0].HeaderKeys)
	if signs != "[From From To Subject Date Message-ID References Auto-Submitted MIME-Version Content-Type]" {
		t.Error(signs)
	}
	m, err := imip.Parse(mail, itip.Limits{}, 0)
	if err != nil || m.Message.Method != "REQUEST" {
		t.Error(err)
	}
	second := append([]byte("From: eve@evil.example\r\n"), mail...)
	if got, err := dkim.VerifyWithOptions(bytes.NewReader(second), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return v.LookupTXT(t.Context(), name)
	}}); err != nil || got[0].Err == nil {
		t.Error("a second From was taken")
	}
}
