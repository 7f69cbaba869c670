package dkim

import (
	"bufio"
	"bytes"
	"crypto"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"
)

// mail is the profile that another implementation speaks too: RFC 6376 relaxed/simple with a signed From.
var mail = profile{
	canonicalizations: []string{"relaxed/simple"},
	mandatory:         []string{"From"},
	optional:          []string{"Subject", "To", "X-One", "X-Two"},
}

// Our engine and an independent one agree, both ways, at relaxed/simple.
//
// Proves: IS-DKIM-1, IS-DKIM-3, IS-DKIM-5
func TestAgreesWithAnotherImplementation(t *testing.T) {
	for _, algorithm := range []string{"rsa-2048", "ed25519"} {
		key, err := GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		record, err := FormatRecord(key.Public(), false)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := ParseRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		lookup := func(name string) ([]string, error) {
			if name != "sel._domainkey.sender.example" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{record}, nil
		}
		now := time.Now()

		t.Run("ours verify there "+algorithm, func(t *testing.T) {
			s := &Signer{Domain: "sender.example", Selector: "sel", Key: key, Lifetime: time.Hour}
			rapid.Check(t, func(t *rapid.T) {
				m := drawMessage(t)
				value, err := s.sign(mail, m.header(t), m.body, now)
				if err != nil {
					t.Fatal(err)
				}
				text := "DKIM-Signature: " + value + "\r\n" + m.text()
				results, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: lookup})
				if err != nil || len(results) != 1 || results[0].Err != nil {
					t.Fatalf("%v, %+v\n%q", err, results, text)
				}
			})
		})

		t.Run("theirs verify here "+algorithm, func(t *testing.T) {
			options := &msgauth.SignOptions{
				Domain: "sender.example", Selector: "sel", Signer: key, Hash: crypto.SHA256,
				HeaderCanonicalization: msgauth.CanonicalizationRelaxed, BodyCanonicalization: msgauth.CanonicalizationSimple,
				HeaderKeys: append([]string{"From", "X-Absent"}, mail.optional...), Expiration: now.Add(time.Hour),
			}
			rapid.Check(t, func(t *rapid.T) {
				m := drawMessage(t)
				var out bytes.Buffer
				if err := msgauth.Sign(&out, strings.NewReader(m.text()), options); err != nil {
					t.Fatal(err)
				}
				field, _, _ := strings.Cut(out.String(), "\r\nFrom:")
				_, value, _ := strings.Cut(field, ":")
				h := m.header(t)
				// As it stood on the wire, and as a header parser delivers it.
				for _, v := range []string{value, strings.NewReplacer("\r\n", "").Replace(value)} {
					sig, err := ParseSignature(v)
					if err != nil {
						t.Fatal(err)
					}
					if err := sig.checkStatic(mail, h); err != nil {
						t.Fatal(err)
					}
					if err := sig.CheckTime(now, Rules{}); err != nil {
						t.Fatal(err)
					}
					if err := sig.CheckBody(m.body); err != nil {
						t.Fatal(err)
					}
					if err := sig.checkKey(mail, h, rec, Rules{}); err != nil {
						t.Fatalf("%v\n%q", err, out.String())
					}
				}
			})
		})
	}
}

type message struct {
	fields [][2]string
	body   []byte
}

func drawMessage(t *rapid.T) message {
	word := rapid.StringMatching(`[!-9<-~,;=]{1,8}`)
	gap := rapid.SampledFrom([]string{" ", "  ", "\t", "\r\n ", " \r\n\t ", ", ", " ,"})
	value := rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{"", " ", "\t ", "\r\n "}).Draw(t, "lead"))
		for i, w := range rapid.SliceOfN(word, 1, 6).Draw(t, "words") {
			if i > 0 {
				b.WriteString(gap.Draw(t, "gap"))
			}
			b.WriteString(w)
		}
		b.WriteString(rapid.SampledFrom([]string{"", " ", "\t "}).Draw(t, "trail"))
		return b.String()
	})
	m := message{fields: [][2]string{{"From", value.Draw(t, "from")}}}
	for _, name := range mail.optional {
		if rapid.Bool().Draw(t, name) {
			m.fields = append(m.fields, [2]string{name, value.Draw(t, "value")})
		}
	}
	for _, line := range rapid.SliceOfN(rapid.StringMatching(`[ -~\t]{0,20}`), 0, 8).Draw(t, "lines") {
		m.body = append(m.body, line+"\r\n"...)
	}
	return m
}

func (m message) text() string {
	var b strings.Builder
	for _, f := range m.fields {
		b.WriteString(f[0] + ":" + f[1] + "\r\n")
	}
	return b.String() + "\r\n" + string(m.body)
}

func (m message) header(t *rapid.T) http.Header {
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(m.text()))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	return http.Header(h)
}
