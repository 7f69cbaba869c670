// Command mkpki writes a throw-away cluster PKI and kubeconfigs (stdlib only).
//
//	mkpki -out DIR -server https://10.200.0.1:6443 -cp-ip 10.200.0.1 -svc-ip 10.96.0.1 node1=10.200.0.11 ...
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var out string

type ca struct {
	c *x509.Certificate
	k crypto.Signer
	p []byte
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func write(name string, b []byte) { must(os.WriteFile(filepath.Join(out, name), b, 0o600)) }

func key(name string) (*ecdsa.PrivateKey, []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	b, err := x509.MarshalECPrivateKey(k)
	must(err)
	p := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: b})
	write(name+".key", p)
	pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	must(err)
	write(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	return k, p
}

func template(cn string, orgs []string) *x509.Certificate {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	return &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: cn, Organization: orgs},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour)}
}

func newCA(name string) ca {
	k, _ := key(name)
	t := template(name, nil)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(name+".crt", p)
	return ca{c, k, p}
}

func (a ca) issue(name, cn string, orgs []string, sans ...string) (crt, k []byte) {
	priv, kp := key(name)
	t := template(cn, orgs)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, s := range sans {
		if ip := net.ParseIP(s); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, s)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.c, priv.Public(), a.k)
	must(err)
	p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(name+".crt", p)
	return p, kp
}

func main() {
	server := flag.String("server", "", "")
	cpIP := flag.String("cp-ip", "", "")
	svcIP := flag.String("svc-ip", "", "")
	flag.StringVar(&out, "out", "", "")
	flag.Parse()
	must(os.MkdirAll(out, 0o700))
	b64 := base64.StdEncoding.EncodeToString
	root := newCA("ca")
	kubeconfig := func(name, cn string, orgs ...string) {
		c, k := root.issue(name, cn, orgs)
		write(name+".kubeconfig", []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: calfed-test, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: %s, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: calfed-test, context: {cluster: calfed-test, user: %s}}]
current-context: calfed-test
`, *server, b64(root.p), name, b64(c), b64(k), name)))
	}
	root.issue("apiserver", "kube-apiserver", nil, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", *cpIP, *svcIP)
	root.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"})
	fp := newCA("front-proxy-ca")
	fp.issue("front-proxy-client", "front-proxy-client", nil)
	key("sa")
	kubeconfig("admin", "kubernetes-admin", "system:masters")
	kubeconfig("kube-controller-manager", "system:kube-controller-manager")
	kubeconfig("kube-scheduler", "system:kube-scheduler")
	kubeconfig("kube-proxy", "system:kube-proxy")
	for _, n := range flag.Args() {
		name, ip, _ := strings.Cut(n, "=")
		kubeconfig("kubelet-"+name, "system:node:"+name, "system:nodes")
		root.issue("kubelet-"+name+"-serving", name, nil, name, ip, "127.0.0.1")
	}
}
