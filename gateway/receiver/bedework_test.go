package receiver_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

// bedework is an invitation signed as Bedework does: the four mandatory fields, no t=, no x=. The package's own Signer
// always writes times, so this one is made by hand.
func bedework(t testing.TB) *mail {
	t.Helper()
	m := invitation(t, "unsigned-id")
	m.signers = nil
	hash := sha256.Sum256([]byte(m.body))
	value := "v=1; a=rsa-sha256; c=ischedule-relaxed/simple; d=sender.example; s=rsa; h=content-type:ischedule-version:originator:recipient; bh=" +
		base64.StdEncoding.EncodeToString(hash[:]) + "; b="
	signed := ""
	for _, name := range []string{"content-type", "ischedule-version", "originator", "recipient"} {
		signed += name + ":" + m.header.Get(name) + "\r\n"
	}
	sum := sha256.Sum256([]byte(signed + "dkim-signature:" + value))
	b, err := rsa.SignPKCS1v15(rand.Reader, privateKey(t, "sender.rsa.pem").(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	value += base64.StdEncoding.EncodeToString(b)
	return m.then(func(h http.Header) { h.Set("DKIM-Signature", value) })
}

// The signature of a peer without t= is refused unless its policy says Optional.
//
// Proves: IS-DKIM-7
func TestSignatureTimeOptional(t *testing.T) {
	w := newWorld(t)
	if got := w.send(bedework(t)); got != "403 verification-failed" || w.reason() != dkim.ReasonTimeMissing {
		t.Errorf("%s (%s)", got, w.reason())
	}
	w.policy("sender").Inbound.SignatureTimeOptional = true
	w.compile()
	if got := w.send(bedework(t)); got != delivered {
		t.Errorf("%s (%s)", got, w.reason())
	}
}
