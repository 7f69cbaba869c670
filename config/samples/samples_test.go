// Package samples_test reads the samples as an API server would, and compiles them.
package samples_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/manifests"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/snapshot"
)

// With the Secrets that their comments ask for, the samples compile without an error or a warning.
func TestSamplesCompile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ namespace, glob, host string }{
		"one file per kind":  {"federation", "*.yaml", "calendar.example.org"},
		"the standalone set": {"default", "standalone/*.yaml", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(tc.glob)
			if err != nil || len(files) == 0 {
				t.Fatalf("no samples: %v", err)
			}
			set, problems, err := manifests.Load(files...)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("%v", p)
			}
			in := compile.Input{
				Domains: set.Domains, Keys: set.Keys, Policies: set.Policies, Secrets: set.Secrets, ConfigMaps: set.ConfigMaps,
				Namespaces: set.Namespaces, Now: time.Now(),
			}
			for _, f := range append(compile.Dangling(set.Gateways, in), compile.Compile(withGateway(in, set)).Findings...) {
				// the only things a sample may lack are what must not be published, and what its owner proves
				if f.Severity == compile.Error && f.Reason != v1alpha1.ReasonRefNotFound && f.Reason != v1alpha1.ReasonProofMissing {
					t.Errorf("without its Secrets: %+v", f)
				}
			}
			addSecrets(t, &in, tc.namespace, tc.host)
			gw := &set.Gateways[0]
			for i := range in.Domains {
				d := &in.Domains[i]
				_, value := records.Challenge(tc.host, gw.Namespace+"/"+gw.Name, d.Namespace, string(d.Spec.Domain))
				d.Status.Ownership = &v1alpha1.OwnershipChallenge{Value: value}
				d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionOwnershipProven, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProven}}
			}
			out := compile.Compile(withGateway(in, set))
			for _, f := range out.Findings {
				t.Errorf("%s %s %s/%s %s: %s", f.Severity, f.Kind, f.Namespace, f.Name, f.Field, f.Message)
			}
			if out.Snapshot == nil {
				t.Fatal("not compiled")
			}
			if len(out.Snapshot.Domains) != len(set.Domains) {
				t.Errorf("%d of %d domains", len(out.Snapshot.Domains), len(set.Domains))
			}
			if _, err := snapshot.Activate(out.Snapshot); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a sample lacks is said clearly: this is what a user sees who starts with it.
func TestMissingSecretsAreNamed(t *testing.T) {
	t.Parallel()
	set, _, err := manifests.Load("standalone")
	if err != nil {
		t.Fatal(err)
	}
	in := compile.Input{Domains: set.Domains, Keys: set.Keys, Policies: set.Policies, Secrets: set.Secrets}
	out := compile.Compile(withGateway(in, set))
	for _, want := range []string{
		`FederationGateway spec.tls.secret.name: Secret "edge-tls" does not exist`,
		`FederationGateway spec.egress.caBundleRef.name: Secret "test-ca" does not exist`,
		`DKIMKey spec.source.imported.secretRef.name: Secret "example-org-dkim" does not exist`,
	} {
		found := false
		for _, f := range out.Findings {
			found = found || f.Severity == compile.Error && strings.HasPrefix(f.Kind+" "+f.Field+": "+f.Message, want)
		}
		if !found {
			t.Errorf("nothing says %s: %+v", want, out.Findings)
		}
	}
}

func withGateway(in compile.Input, set *manifests.Set) compile.Input {
	in.Gateway = &set.Gateways[0]
	return in
}

func addSecrets(t *testing.T, in *compile.Input, namespace, host string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := func(name string, data map[string][]byte) {
		in.Secrets = append(in.Secrets, corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: data})
	}
	secret("edge-tls", map[string][]byte{"tls.crt": cert, "tls.key": privatePEM(t, key)})
	secret("test-ca", map[string][]byte{"ca.crt": cert})
	secret("example-org-dkim", map[string][]byte{"private.key": signingKey(t)})
	for _, name := range []string{"smarthost", "cyrus-calfed", "davical-calfed", "submit-mailserver"} {
		secret(name, map[string][]byte{"username": []byte("calfed"), "password": []byte(name + "-0123456789abcdef")})
	}
	secret("dns-tsig", map[string][]byte{"key": []byte("c2hhcmVkLXdpdGgtdGhlLW5hbWUtc2VydmVy")})
	in.Secrets = append(in.Secrets, corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "dav", Namespace: "customer-acme"},
		Data:       map[string][]byte{"username": []byte("calfed"), "password": []byte("dav-0123456789abcdef")},
	})
	for i := range in.Keys {
		if k := &in.Keys[i]; k.Spec.Source.Generated != nil { // as the operator makes it
			made := keylife.Key{Selector: "cal1", State: v1alpha1.KeyActive, Made: time.Now(), Since: time.Now()}
			in.Secrets = append(in.Secrets, *keylife.NewSecret(k, made, signingKey(t)))
		}
	}
	secret("partner-authorization", map[string][]byte{"value": []byte("Bearer 0123456789abcdef")})
	if namespace != "default" {
		secret("submit-token", map[string][]byte{"token": []byte("0123456789abcdef")})
	}
	in.ConfigMaps = append(in.ConfigMaps, corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "company-ca", Namespace: namespace}, Data: map[string]string{"ca.crt": string(cert)}})
}

func signingKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048) // DAViCal verifies no other
	if err != nil {
		t.Fatal(err)
	}
	return privatePEM(t, key)
}

func privatePEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
