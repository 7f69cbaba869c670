package dkim_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// goodTags are the tags of a signature that verifies, before b=; {b} and {bh} are filled in by dkim.Forge.
const goodTags = "v=1; a=rsa-sha256; c=ischedule-relaxed/simple; d=sender.example; s=sel; t=1795348800; x=1795349100; " +
	"h=Content-Type:iSchedule-Version:Originator:Recipient; bh={bh}; b={b}"

var body = []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")

func header() http.Header {
	h := http.Header{}
	h.Set("Content-Type", "text/calendar; charset=utf-8; component=VEVENT; method=REQUEST")
	h.Set("iSchedule-Version", "1.0")
	h.Set("iSchedule-Message-ID", "6d0f3f6e")
	h.Set("Originator", "mailto:anna@sender.example")
	h.Add("Recipient", "mailto:ben@receiver.example,mailto:cleo@receiver.example")
	h.Set("User-Agent", "calfed/1")
	h.Set("Cache-Control", "no-cache, no-transform")
	return h
}

// with returns the header with one field replaced; no values removes it.
func with(name string, values ...string) http.Header {
	h := header()
	h.Del(name)
	for _, v := range values {
		h.Add(name, v)
	}
	return h
}

var rsaKeys sync.Map

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	if key, ok := rsaKeys.Load(bits); ok {
		return key.(*rsa.PrivateKey)
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	rsaKeys.Store(bits, key)
	return key
}

func ed25519Key(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := dkim.GenerateKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// published is the record of key as a verifier reads it.
func published(t testing.TB, key crypto.Signer) *dkim.Record {
	t.Helper()
	text, err := dkim.FormatRecord(key.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := dkim.ParseRecord(text)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func forge(t testing.TB, key crypto.Signer, h http.Header, tags string) string {
	t.Helper()
	value, err := dkim.Forge(key, h, body, tags)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
