package dkim_test

import (
	"bytes"
	"crypto"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/dkim"
)

// One changed byte anywhere in what is signed, or in the signature: refused, unless what the
// canonical forms keep is unchanged.
//
// Proves: IS-DKIM-1, IS-DKIM-2, IS-DKIM-3
func TestNoMutationVerifies(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(t, 2048), "Ed25519": ed25519Key(t)} {
		t.Run(name, func(t *testing.T) {
			s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: key}
			value, err := s.Sign(header(), body, now)
			if err != nil {
				t.Fatal(err)
			}
			rec := published(t, key)
			sig, err := dkim.ParseSignature(value)
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				h, b, v := header(), slices.Clone(body), value
				same := false
				switch part := rapid.SampledFrom(append([]string{"body", "signature"}, sig.Headers...)).Draw(t, "part"); part {
				case "body":
					b = []byte(mutate(t, string(b)))
					same = bytes.Equal(simple(b), simple(body))
				case "signature":
					v = mutate(t, v)
					other, err := dkim.ParseSignature(v)
					same = err == nil && relaxed(emptied(v)) == relaxed(emptied(value)) && bytes.Equal(other.Value, sig.Value)
				default:
					key := http.CanonicalHeaderKey(part)
					h[key] = []string{mutate(t, h.Get(key))}
					same = relaxed(h[key][0]) == relaxed(header().Get(key))
				}
				if err := verify(h, b, v, rec, now, dkim.Rules{}); (err == nil) != same {
					t.Fatalf("verified: %v, canonically equal: %v\n%q\n%q\n%q", err, same, h, b, v)
				}
			})
		})
	}
}

// mutate replaces, inserts or deletes one byte.
func mutate(t *rapid.T, s string) string {
	at := rapid.IntRange(0, len(s)-1).Draw(t, "at")
	c := string([]byte{rapid.Byte().Draw(t, "byte")})
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		return s[:at] + c + s[at+1:]
	case 1:
		return s[:at] + c + s[at:]
	}
	return s[:at] + s[at+1:]
}

// Independent, plain forms of the canonicalisations.
func simple(b []byte) []byte {
	for bytes.HasSuffix(b, []byte("\r\n")) {
		b = b[:len(b)-2]
	}
	return append(slices.Clone(b), "\r\n"...)
}

func relaxed(s string) string {
	s = regexp.MustCompile(`\r?\n([ \t])`).ReplaceAllString(s, "$1")
	s = regexp.MustCompile(`[ \t]+`).ReplaceAllString(s, " ")
	return regexp.MustCompile(` *, *`).ReplaceAllString(strings.Trim(s, " "), ",")
}

func emptied(value string) string {
	return regexp.MustCompile(`([ ;]b[ \t]*=)[^;]*`).ReplaceAllString(value, "$1")
}
