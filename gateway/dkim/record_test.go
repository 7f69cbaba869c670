package dkim_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/dkim"
)

// RFC 8463 appendix A.2 publishes this key.
const ed25519P = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

// Proves: IS-DKIM-10
func TestParseRecord(t *testing.T) {
	pub, err := base64.StdEncoding.DecodeString(ed25519P)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text string
		want       dkim.Record
	}{
		{"all tags", "v=DKIM1; k=ed25519; h=sha1 : SHA256; s=ischedule:email; t=y:s; n=a note; z=?; p=" + ed25519P,
			dkim.Record{KeyType: "ed25519", Hashes: []string{"sha1", "sha256"}, Services: []string{"ischedule", "email"}, Testing: true, Strict: true, Public: ed25519.PublicKey(pub)}},
		{"without v=, p= first, broken by blanks", "p=" + ed25519P[:9] + " " + ed25519P[9:] + "; k=ed25519;",
			dkim.Record{KeyType: "ed25519", Public: ed25519.PublicKey(pub)}},
		{"unknown flags", "k=ed25519; t=x; p=" + ed25519P, dkim.Record{KeyType: "ed25519", Public: ed25519.PublicKey(pub)}},
		{"revoked", "v=DKIM1; p=", dkim.Record{KeyType: "rsa", Revoked: true}},
		{"revoked, of an unknown type", "v=DKIM1; k=new; p= ", dkim.Record{KeyType: "new", Revoked: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dkim.ParseRecord(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	key := rsaKey(t, 2048)
	pkcs1 := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	got, err := dkim.ParseRecord("p=" + pkcs1)
	if err != nil || !key.PublicKey.Equal(got.Public) {
		t.Errorf("a bare RSAPublicKey: %v, %v", got, err)
	}
}

// Proves: IS-DKIM-5, IS-DKIM-10
func TestParseRecordRefuses(t *testing.T) {
	key := rsaKey(t, 2048)
	rsaP := func(n *big.Int, e int) string {
		return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n, E: e}))
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text string }{
		{"nothing", ""},
		{"no p=", "v=DKIM1; k=rsa"},
		{"another version", "v=DKIM2; p=" + rsaP(key.N, 65537)},
		{"v= that is not first", "k=rsa; v=DKIM1; p=" + rsaP(key.N, 65537)},
		{"a tag twice", "p=; p=" + rsaP(key.N, 65537)},
		{"an unknown key type", "k=dsa; p=" + rsaP(key.N, 65537)},
		{"an empty key type", "k=; p=" + rsaP(key.N, 65537)},
		{"p= that is not base64", "p=*"},
		{"p= that is no key", "p=AAAA"},
		{"an RSA record with another key", "p=" + base64.StdEncoding.EncodeToString(ecDER)},
		{"an Ed25519 key of 31 bytes", "k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 31))},
		{"an exponent of 1", "p=" + rsaP(key.N, 1)},
		{"an Ed25519 point of order 1", ed25519Point(1, 0, 0)},
		{"an Ed25519 point of order 1, with a sign", ed25519Point(1, 0, 0x80)},
		{"an Ed25519 point of order 1, not reduced", ed25519Point(0xee, 0xff, 0x7f)},
		{"an Ed25519 point of order 2", ed25519Point(0xec, 0xff, 0x7f)},
		{"an Ed25519 point of order 4", ed25519Point(0, 0, 0)},
		{"an Ed25519 point of order 4, not reduced", ed25519Point(0xed, 0xff, 0x7f)},
		{"an Ed25519 point of order 8", "k=ed25519; p=JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU="},
		{"another Ed25519 point of order 8", "k=ed25519; p=xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o="},
		{"an even exponent", "p=" + rsaP(key.N, 65536)},
		{"an exponent above 31 bits", "p=" + rsaP(key.N, 1<<32+1)},
		{"an empty list", "h=; p=" + rsaP(key.N, 65537)},
		{"a record above 8 KiB", "n=" + strings.Repeat("n", 8<<10) + "; p=" + rsaP(key.N, 65537)},
		{"a zone file comment", "v=DKIM1; p=\"abc\""},
		{"HTML", "<html></html>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec, err := dkim.ParseRecord(tc.text)
			if got := reasonOf(t, err); got != dkim.ReasonKeySyntax {
				t.Errorf("got %+v, %v", rec, err)
			}
		})
	}
}

// Each condition of a key record, with a signature that is right.
//
// Proves: IS-DKIM-5, IS-DKIM-10
func TestKeyRecordRules(t *testing.T) {
	rsa2048, rsa1024, ed := rsaKey(t, 2048), rsaKey(t, 1024), ed25519Key(t)
	low := dkim.Rules{MinRSABits: 1024}
	for _, tc := range []struct {
		name  string
		key   crypto.Signer
		i     string
		set   func(*dkim.Record)
		rules dkim.Rules
		want  string
	}{
		{"any service and hash", rsa2048, "", func(*dkim.Record) {}, dkim.Rules{}, ""},
		{"Ed25519", ed, "", func(*dkim.Record) {}, dkim.Rules{}, ""},
		{"s=ischedule", rsa2048, "", func(r *dkim.Record) { r.Services = []string{"email", "ischedule"} }, dkim.Rules{}, ""},
		{"s=*", rsa2048, "", func(r *dkim.Record) { r.Services = []string{"*"} }, dkim.Rules{}, ""},
		{"s=email", rsa2048, "", func(r *dkim.Record) { r.Services = []string{"email"} }, dkim.Rules{}, dkim.ReasonKeyMismatch},
		{"h=sha256", rsa2048, "", func(r *dkim.Record) { r.Hashes = []string{"sha1", "sha256"} }, dkim.Rules{}, ""},
		{"h=sha1", rsa2048, "", func(r *dkim.Record) { r.Hashes = []string{"sha1"} }, dkim.Rules{}, dkim.ReasonKeyMismatch},
		{"k= of another type", rsa2048, "", func(r *dkim.Record) { *r = *published(t, ed) }, dkim.Rules{}, dkim.ReasonKeyMismatch},
		{"t=y", rsa2048, "", func(r *dkim.Record) { r.Testing = true }, dkim.Rules{}, dkim.ReasonKeyTesting},
		{"t=s with i= equal to d=", rsa2048, "i=a@sender.example; ", func(r *dkim.Record) { r.Strict = true }, dkim.Rules{}, ""},
		{"t=s without i=", rsa2048, "", func(r *dkim.Record) { r.Strict = true }, dkim.Rules{}, ""},
		{"t=s with i= below d=", rsa2048, "i=a@x.sender.example; ", func(r *dkim.Record) { r.Strict = true }, dkim.Rules{}, dkim.ReasonKeyMismatch},
		{"without t=s, i= below d=", rsa2048, "i=a@x.sender.example; ", func(*dkim.Record) {}, dkim.Rules{}, ""},
		{"revoked", rsa2048, "", func(r *dkim.Record) { r.Revoked, r.Public = true, nil }, dkim.Rules{}, dkim.ReasonKeyRevoked},
		{"RSA 1024 by default", rsa1024, "", func(*dkim.Record) {}, dkim.Rules{}, dkim.ReasonKeySize},
		{"RSA 1024 by policy", rsa1024, "", func(*dkim.Record) {}, low, ""},
		{"RSA 2048 where more is asked", rsa2048, "", func(*dkim.Record) {}, dkim.Rules{MinRSABits: 3072}, dkim.ReasonKeySize},
		{"RSA below 1024, whatever the policy", rsa1024, "", func(r *dkim.Record) { r.Public = sized(1016) }, dkim.Rules{MinRSABits: 512}, dkim.ReasonKeySize},
		{"RSA above 4096, whatever the policy", rsa1024, "", func(r *dkim.Record) { r.Public = sized(4104) }, low, dkim.ReasonKeySize},
		{"no key in the record", rsa2048, "", func(r *dkim.Record) { r.Public = nil }, dkim.Rules{}, dkim.ReasonBadSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tags := tc.i + goodTags
			if _, ok := tc.key.(ed25519.PrivateKey); ok {
				tags = strings.Replace(tags, "rsa-sha256", "ed25519-sha256", 1)
			}
			value := forge(t, tc.key, header(), tags)
			rec := published(t, tc.key)
			tc.set(rec)
			if got := reasonOf(t, verify(header(), body, value, rec, now, tc.rules)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	value := forge(t, rsa2048, header(), goodTags)
	if got := reasonOf(t, verify(header(), body, value, nil, now, dkim.Rules{})); got != dkim.ReasonKeyMissing {
		t.Errorf("without a record: %q", got)
	}
}

// sized is a modulus of so many bits that nobody can sign with.
func sized(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

// peer-quirks: Cyrus and DAViCal refuse records with s=ischedule.
//
// Proves: IS-DKIM-10
func TestFormatRecord(t *testing.T) {
	pub, err := base64.StdEncoding.DecodeString(ed25519P)
	if err != nil {
		t.Fatal(err)
	}
	for only, want := range map[bool]string{
		false: "v=DKIM1; k=ed25519; p=" + ed25519P,
		true:  "v=DKIM1; k=ed25519; s=ischedule; p=" + ed25519P,
	} {
		if got, err := dkim.FormatRecord(ed25519.PublicKey(pub), only); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	key := rsaKey(t, 2048)
	got, err := dkim.FormatRecord(key.Public(), false)
	if err != nil || !strings.HasPrefix(got, "v=DKIM1; k=rsa; p=MIIBIjAN") {
		t.Errorf("RSA: %q, %v", got, err)
	}
	if got, err := dkim.FormatRecord("not a key", false); err == nil {
		t.Errorf("a string was formatted: %q", got)
	}
}

// ed25519Point is the record of a key whose bytes are first, rest thirty times, last.
func ed25519Point(first, rest, last byte) string {
	key := append(append([]byte{first}, bytes.Repeat([]byte{rest}, 30)...), last)
	return "k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)
}
