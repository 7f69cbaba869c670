package sender

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

var errNoKey = errors.New("the domain has no signing key")

// signerFunc returns the signer of a domain.
type signerFunc func() (*dkim.Signer, error)

// newSigner prepares the signer of a domain. Keys are read at first use: a gateway of many domains signs for few of
// them between two changes of configuration, and snapshot.Activate has read them all once.
func newSigner(d *snapshot.Domain) signerFunc {
	return sync.OnceValues(func() (*dkim.Signer, error) {
		k, private, err := SigningKey(d)
		if err != nil {
			return nil, err
		}
		return &dkim.Signer{Domain: k.Domain, Selector: k.Selector, Key: private, Query: d.Signing.Lookup, Lifetime: d.Signing.Lifetime}, nil
	})
}

// SigningKey is the key that signs for a domain: one of its active ones.
//
// The first RSA key signs, else the first of any kind: OpenDKIM up to 2.11, and with it Cyrus, knows rsa-sha256 only,
// nothing in discovery tells what a peer can verify, and some take the first of two DKIM-Signature fields for the
// only one. A domain that wants Ed25519 has no RSA key.
func SigningKey(d *snapshot.Domain) (*snapshot.Key, crypto.Signer, error) {
	var (
		chosen *snapshot.Key
		signer crypto.Signer
	)
	for i := range d.Signing.Keys {
		k := &d.Signing.Keys[i]
		if !k.Signs() {
			continue
		}
		private, err := dkim.ParsePrivateKey(k.Private)
		if err != nil {
			return nil, nil, fmt.Errorf("key %s: %w", k.Source, err)
		}
		_, isRSA := private.(*rsa.PrivateKey)
		if chosen == nil || isRSA {
			chosen, signer = k, private
		}
		if isRSA {
			break
		}
	}
	if chosen == nil {
		return nil, nil, errNoKey
	}
	return chosen, signer, nil
}

// forDAViCal says whether a policy has named the receiver as one that verifies the signatures of draft-01 only.
func (q *request) forDAViCal() bool {
	return q.outbound != nil && q.outbound.SignatureProfile == snapshot.SignatureDAViCal
}

// sign makes the signature that the receiver can verify, over a header that goes out as it is. That of draft-01 covers
// neither iSchedule-Message-ID nor Authorization: DAViCal does not know the first, and Apache often hides the second from it.
func (q *request) sign(signer *dkim.Signer, h http.Header, body []byte, now time.Time) (string, error) {
	if !q.forDAViCal() {
		return signer.Sign(h, body, now)
	}
	u, err := url.Parse(q.receiver.URL)
	if err != nil {
		return "", err
	}
	return signer.SignDraft01(u.Host, h, body, now) // what net/http writes as Host
}
