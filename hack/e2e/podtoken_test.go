//go:build e2e

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/infra"
)

// podToken is the token with which a running pod of a gateway speaks to the API server. The image has no shell to print it with: the
// pod's own program shows it to a listener of the test, as if that took calendar messages, which it trusts by the authority of its
// status listener.
func (g *ground) podToken(t *testing.T, namespace, gateway, pod string) string {
	t.Helper()
	ln, err := tls.Listen("tcp", net.JoinHostPort(g.hostIP, "0"), &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{g.trustedByPods(t, namespace, gateway)},
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case shown <- strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "):
		default:
		}
		http.Error(w, "that was all", http.StatusTeapot)
	})}
	go func() { _ = server.Serve(ln) }()
	defer func() { _ = server.Close() }()
	out, err := g.tryKubectl(t.Context(), "", "-n", namespace, "exec", pod, "--", "/calfed", "freebusy", "bob@example.net", "--as", "ann@example.org",
		"--submit", "https://"+ln.Addr().String()+"/", "--ca", "/etc/calfed/status/ca.crt", "--token-file", "/var/run/secrets/kubernetes.io/serviceaccount/token")
	select {
	case token := <-shown:
		return token
	default:
		t.Fatalf("the pod did not show its token: %v\n%s", err, out)
		return ""
	}
}

// trustedByPods is a certificate for the test's address, of the authority that the pods of a gateway trust.
func (g *ground) trustedByPods(t *testing.T, namespace, gateway string) tls.Certificate {
	t.Helper()
	var s corev1.Secret
	if err := g.c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: infra.StatusCASecret(gateway)}, &s); err != nil {
		t.Fatal(err)
	}
	ca, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(g.hostIP)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// running are the pods of a gateway called edge that run.
func (g *ground) running(t *testing.T, namespace string) []corev1.Pod {
	t.Helper()
	out := slices.DeleteFunc(g.gatewayPods(t.Context(), t, namespace), func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
	if len(out) == 0 {
		t.Fatalf("no pod of %s/edge runs", namespace)
	}
	return out
}
