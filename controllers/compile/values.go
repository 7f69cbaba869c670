package compile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// object is the name of a Secret, a ConfigMap or a DKIMKey.
type object struct{ namespace, name string }

// values are the contents of Secrets and ConfigMaps.
type values struct {
	secrets    map[object]map[string][]byte
	configMaps map[object]map[string][]byte
	generated  map[object][]corev1.Secret // those with a key that the operator made, by DKIMKey
}

// indexValues takes the Secrets and ConfigMaps of a namespace, "" = of all.
func indexValues(in *Input, namespace string) values {
	v := values{secrets: make(map[object]map[string][]byte, len(in.Secrets)), configMaps: map[object]map[string][]byte{}, generated: map[object][]corev1.Secret{}}
	for i := range in.Secrets {
		s := &in.Secrets[i]
		if namespace != "" && s.Namespace != namespace {
			continue
		}
		v.secrets[object{s.Namespace, s.Name}] = s.Data
		if s.Labels[keylife.LabelOwned] == keylife.OwnedKey {
			key := object{s.Namespace, s.Annotations[keylife.AnnotationKeyName]}
			v.generated[key] = append(v.generated[key], *s)
		}
	}
	for i := range in.ConfigMaps {
		m := &in.ConfigMaps[i]
		if namespace != "" && m.Namespace != namespace {
			continue
		}
		data := make(map[string][]byte, len(m.Data)+len(m.BinaryData))
		for k, s := range m.Data {
			data[k] = []byte(s)
		}
		for k, b := range m.BinaryData {
			data[k] = b
		}
		v.configMaps[object{m.Namespace, m.Name}] = data
	}
	return v
}

// value resolves one value of a Secret or ConfigMap; what is missing is reported at the reference.
func (c *compiler) value(at spot, kind, name, key string) ([]byte, bool) {
	objects := c.values.secrets
	if kind == string(v1alpha1.BundleConfigMap) {
		objects = c.values.configMaps
	}
	data, ok := objects[object{c.namespace, name}]
	if !ok {
		c.missing(at.to("name"), kind, name, createOrCorrect)
		return nil, false
	}
	value, ok := data[key]
	if !ok {
		// the names of the other keys are no secret, but those of a stranger's Secret are nobody's business
		at.to("key").error(v1alpha1.ReasonRefNotFound, "%s %q has no key %q in its data", kind, name, key)
		return nil, false
	}
	if len(bytes.TrimSpace(value)) == 0 {
		at.to("key").error(v1alpha1.ReasonInvalidValue, "key %q of %s %q is empty", key, kind, name)
		return nil, false
	}
	return value, true
}

func (c *compiler) secretValue(at spot, ref v1alpha1.SecretKeyRef) ([]byte, bool) {
	return c.value(at, string(v1alpha1.BundleSecret), ref.Name, ref.Key)
}

// maxPrivateKey is more than the PEM form of the largest key takes that TLS clients accept (RSA, 16384 bits).
const maxPrivateKey = 16 << 10

// keyPair resolves a kubernetes.io/tls Secret and returns its leaf certificate too. at is the field with the Secret's name, cure what to
// do when there is none.
func (c *compiler) keyPair(at spot, ref v1alpha1.SecretRef, cure string) (*snapshot.KeyPair, *x509.Certificate) {
	data, ok := c.values.secrets[object{c.namespace, ref.Name}]
	if !ok {
		c.missing(at, string(v1alpha1.BundleSecret), ref.Name, cure)
		return nil, nil
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(data[key]) == 0 {
			at.error(v1alpha1.ReasonRefNotFound, "Secret %q has no %s: a Secret of type kubernetes.io/tls holds %s and %s", ref.Name, key, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
			return nil, nil
		}
	}
	pair := snapshot.KeyPair{Certificate: data[corev1.TLSCertKey], Key: data[corev1.TLSPrivateKeyKey]}
	if !c.room(at, len(pair.Certificate)+len(pair.Key)) {
		return nil, nil
	}
	if len(pair.Key) > maxPrivateKey { // to parse it could take minutes
		at.error(v1alpha1.ReasonInvalidValue, "%s of Secret %q is larger than any private key: at most %d octets", corev1.TLSPrivateKeyKey, ref.Name, maxPrivateKey)
		return nil, nil
	}
	cert, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		// crypto/tls names what it missed and never the material
		at.error(v1alpha1.ReasonInvalidValue, "Secret %q is no certificate with its key: %s", ref.Name, strings.TrimPrefix(err.Error(), "tls: "))
		return nil, nil
	}
	switch {
	case c.now.IsZero():
	case c.now.After(cert.Leaf.NotAfter):
		at.warn(v1alpha1.ReasonExpired, "the certificate in Secret %q has expired: others refuse to connect until it is renewed", ref.Name)
	case c.now.Before(cert.Leaf.NotBefore):
		at.warn(v1alpha1.ReasonExpired, "the certificate in Secret %q is not valid yet: others refuse to connect; is the clock right?", ref.Name)
	}
	return &pair, cert.Leaf
}

// bundle resolves PEM certificates.
func (c *compiler) bundle(at spot, ref v1alpha1.BundleRef) []byte {
	value, ok := c.value(at, string(ref.Kind), ref.Name, ref.Key)
	if !ok || !c.room(at, len(value)) {
		return nil
	}
	if err := checkBundle(value); err != nil {
		at.to("key").error(v1alpha1.ReasonInvalidValue, "key %q of %s %q: %s", ref.Key, ref.Kind, ref.Name, err)
		return nil
	}
	return value
}

// maxCertificates bounds the certificates, in octets, that the objects of one namespace bring into a part: more never fits a Secret,
// and a bundle that a thousand policies name would be parsed and written a thousand times.
const maxCertificates = 4 << 20

// room says whether there is room for so many octets of certificates.
func (c *compiler) room(at spot, octets int) bool {
	if c.certificates+octets > maxCertificates && !c.trustOwners {
		at.error(v1alpha1.ReasonTooLarge, "the certificates that objects of namespace %q name are too large for the gateway's configuration: let fewer objects name bundles, or smaller ones", c.namespace)
		return false
	}
	c.certificates += octets
	return true
}

var errNoCertificate = errors.New("no PEM block of type CERTIFICATE")

func checkBundle(bundle []byte) error {
	count := 0
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d is of type %q, not CERTIFICATE", count+1, block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d does not parse", count+1)
		}
		count++
	}
	if count == 0 {
		return errNoCertificate
	}
	return nil
}
