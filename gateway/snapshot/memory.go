package snapshot

import (
	"crypto"
	"crypto/sha256"

	"github.com/calfed/calfed/gateway/dkim"
)

// digest stands for a secret or a certificate in a memory.
type digest [sha256.Size]byte

func digestOf(parts ...[]byte) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write(p) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	return digest(h.Sum(d[:0]))
}

// found is what validating one snapshot has parsed and found good.
type found struct {
	publics map[digest]crypto.PublicKey // of private keys
	good    map[digest]bool             // bundles and key pairs
}

func newFound() *found { return &found{map[digest]crypto.PublicKey{}, map[digest]bool{}} }

// memory spares a snapshot what the one before it has parsed: keys and certificates are most of the cost, and a change leaves
// nearly all of them as they are. What is not used again is forgotten.
type memory struct{ before, now *found }

// public is the public half of a private key. Domains may share a parent's key.
func (m *memory) public(private []byte) (crypto.PublicKey, error) {
	key := digestOf(private)
	public, ok := m.now.publics[key]
	if !ok {
		public, ok = m.before.publics[key]
	}
	if !ok {
		signer, err := dkim.ParsePrivateKey(private)
		if err != nil {
			return nil, err
		}
		public = signer.Public()
	}
	m.now.publics[key] = public
	return public, nil
}

func (m *memory) bundle(bundle []byte) error {
	return m.once(digestOf(bundle), func() error { return checkBundle(bundle) })
}

func (m *memory) keyPair(k *KeyPair) error {
	return m.once(digestOf(k.Certificate, k.Key), k.validate)
}

func (m *memory) once(key digest, check func() error) error {
	if !m.now.good[key] && !m.before.good[key] {
		if err := check(); err != nil {
			return err
		}
	}
	m.now.good[key] = true
	return nil
}
