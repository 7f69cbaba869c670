package dkim_test

import (
	"bytes"
	"crypto"
	"fmt"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

func benchmarkEach(b *testing.B, run func(b *testing.B, s *dkim.Signer, body []byte)) {
	for _, k := range []struct {
		name string
		key  crypto.Signer
	}{{"RSA-2048", rsaKey(b, 2048)}, {"Ed25519", ed25519Key(b)}} {
		for _, size := range []int{2 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKB", k.name, size>>10), func(b *testing.B) {
				s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: k.key}
				run(b, s, bytes.Repeat([]byte("0123456789abcd\r\n"), size/16))
			})
		}
	}
}

func BenchmarkSign(b *testing.B) {
	benchmarkEach(b, func(b *testing.B, s *dkim.Signer, body []byte) {
		h := header()
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := s.Sign(h, body, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// All that a receiver does for one signature, the key record parsed before.
func BenchmarkVerify(b *testing.B) {
	benchmarkEach(b, func(b *testing.B, s *dkim.Signer, body []byte) {
		h := header()
		value, err := s.Sign(h, body, now)
		if err != nil {
			b.Fatal(err)
		}
		rec := published(b, s.Key)
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if err := verify(h, body, value, rec, now, dkim.Rules{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseSignature(b *testing.B) {
	s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: rsaKey(b, 2048)}
	value, err := s.Sign(header(), body, now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dkim.ParseSignature(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRecord(b *testing.B) {
	text, err := dkim.FormatRecord(rsaKey(b, 2048).Public(), false)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dkim.ParseRecord(text); err != nil {
			b.Fatal(err)
		}
	}
}
