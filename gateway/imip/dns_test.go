package imip_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // rsa-sha1 is to be refused
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-msgauth/dkim"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
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
		record("long._domainkey.sender.example", keys["ed"], "n="+strings.Repeat("x", 3000)+"; ") +
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
