//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// organisation is one side: a Cyrus, a gateway in front of it, and the domain they answer for.
type organisation struct {
	domain  string
	host    string // of the gateway
	users   []string
	dir     string // manifests
	cyrus   string // base URL
	public  string // host:port of the gateway's listeners
	submit  string
	admin   string
	token   string
	backend string // ISchedule back end
}

// world is two organisations, the DNS server through which they find each other, and the CA they trust.
type world struct {
	t      *testing.T
	binary string
	dns    string // host:port
	ca     *authority
	ports  ports
	a, b   *organisation
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("interop starts Cyrus in a mount namespace of its own: run as root")
	}
	binary, err := filepath.Abs("../../bin/calfed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	w := &world{t: t, binary: binary, ca: newAuthority(t)}
	w.dns = w.ports.free(t)
	w.a = w.organisation("example.org", "alice", "bob")
	w.b = w.organisation("sender.example", "carol")
	w.manifests(w.a, w.b)
	w.manifests(w.b, w.a)
	w.startDNS()
	w.serve(w.a)
	w.serve(w.b)
	return w
}

// organisation starts a Cyrus for the domain and picks the gateway's ports.
func (w *world) organisation(domain string, users ...string) *organisation {
	w.t.Helper()
	o := &organisation{
		domain: domain, host: "gw." + domain, users: users, dir: w.t.TempDir(),
		public: w.ports.free(w.t), submit: w.ports.free(w.t), admin: w.ports.free(w.t),
		token: "token-of-" + domain,
	}
	httpAddr, imapAddr := w.ports.free(w.t), w.ports.free(w.t)
	o.cyrus = "http://" + httpAddr
	o.backend = o.cyrus + "/ischedule"
	// Cyrus's own user must be able to reach its folder, which a test's folder below a private one would not allow
	dir, err := os.MkdirTemp("", "calfed-cyrus-")
	if err != nil {
		w.t.Fatal(err)
	}
	_, httpPort, _ := net.SplitHostPort(httpAddr)
	_, imapPort, _ := net.SplitHostPort(imapAddr)
	w.t.Cleanup(func() {
		if out, err := exec.Command("./cyrus.sh", "down", dir).CombinedOutput(); err != nil {
			w.t.Errorf("cyrus.sh down: %v\n%s", err, out)
		}
		_ = os.RemoveAll(dir)
	})
	args := append([]string{"up", dir, domain, httpPort, imapPort}, users...)
	out, err := exec.Command("./cyrus.sh", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("cyrus.sh up: %v\n%s", err, out)
	}
	for _, u := range users {
		if !strings.Contains(string(out), u+"@"+domain+" 207") {
			w.t.Fatalf("Cyrus of %s has no calendar home for %s:\n%s", domain, u, out)
		}
	}
	return o
}

var manifestTemplate = template.Must(template.New("").Parse(`apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: default}
spec:
  host: {{.Own.Host}}
  tls: {type: Secret, secret: {name: edge-tls}}
  defaultPolicy: Deny
  egress:
    backendCIDRs: ["127.0.0.0/8"]
    peerCIDRs: ["127.0.0.0/8"]
    resolver: "{{.DNS}}"
    caBundleRef: {kind: Secret, name: test-ca, key: ca.crt}
  capabilities:
    administrator: mailto:postmaster@{{.Own.Domain}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: own, namespace: default}
spec:
  domain: {{.Own.Domain}}
  gatewayRef: {name: edge}
  signing:
    keys: [{name: own}]
    lookup: ["dns/txt", "http/well-known"]
  backend:
    type: ISchedule
    iSchedule: {url: "{{.Own.Backend}}"}
  submitters:
  - {name: calendar-server, tokenRef: {name: submit-token, key: token}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: own, namespace: default}
spec:
  domain: {{.Own.Domain}}
  source:
    type: Imported
    imported: {selector: cal, secretRef: {name: own-dkim, key: private.key}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: peer, namespace: default}
spec:
  peers: ["{{.Peer.Domain}}"]
  action: Allow
---
apiVersion: v1
kind: Secret
metadata: {name: submit-token, namespace: default}
stringData: {token: {{.Own.Token}}}
`))

// manifests writes what the organisation's administrator would keep in Git, and the Secrets.
func (w *world) manifests(own, peer *organisation) {
	w.t.Helper()
	type side struct{ Domain, Host, Backend, Token string }
	var buf bytes.Buffer
	err := manifestTemplate.Execute(&buf, map[string]any{
		"DNS":  w.dns,
		"Own":  side{own.domain, own.host, own.backend, own.token},
		"Peer": side{peer.domain, peer.host, peer.backend, peer.token},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	key := filepath.Join(w.t.TempDir(), "dkim.pem")
	w.run(own, "dkim", "keygen", "--algorithm", "rsa-2048", "--out", key)
	private, err := os.ReadFile(key)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, certificateKey := w.ca.issue(w.t, own.host)
	secret(&buf, "own-dkim", "private.key", private)
	secret(&buf, "edge-tls", "tls.crt", certificate, "tls.key", certificateKey)
	secret(&buf, "test-ca", "ca.crt", w.ca.pem)
	if err := os.WriteFile(filepath.Join(own.dir, "gateway.yaml"), buf.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// secret appends a Secret with the given key, value pairs.
func secret(out *bytes.Buffer, name string, data ...any) {
	fmt.Fprintf(out, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default}\nstringData:\n", name)
	for i := 0; i < len(data); i += 2 {
		fmt.Fprintf(out, "  %s: |\n", data[i])
		for line := range bytes.Lines(data[i+1].([]byte)) {
			fmt.Fprintf(out, "    %s", line)
		}
	}
}

// startDNS runs Debian's dnsmasq with what `calfed dns` prints for both domains.
func (w *world) startDNS() {
	w.t.Helper()
	var conf strings.Builder
	conf.WriteString("local-ttl=60\n") // its own default, 0, would have every message look its key up again
	for _, o := range []*organisation{w.a, w.b} {
		_, port, _ := net.SplitHostPort(o.public)
		conf.WriteString(w.run(o, "dns", o.domain, "--manifests", o.dir, "--format", "dnsmasq", "--port", port))
		fmt.Fprintf(&conf, "\nhost-record=%s,127.0.0.1\nlocal=/%s/\n", o.host, o.domain)
	}
	file := filepath.Join(w.t.TempDir(), "dnsmasq.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("DNS, as calfed dns prints it:\n%s", conf.String())
	_, port, _ := net.SplitHostPort(w.dns)
	w.start("dnsmasq", exec.Command("dnsmasq", "--keep-in-foreground", "--port="+port, "--listen-address=127.0.0.1",
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--log-facility=-", "--conf-file="+file))
	w.eventually("dnsmasq answers", func() bool {
		c, err := net.Dial("tcp", w.dns)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// serve starts the organisation's gateway and waits until it is ready.
func (w *world) serve(o *organisation) {
	w.t.Helper()
	w.start("calfed of "+o.domain, exec.Command(w.binary, "serve", "--manifests", o.dir,
		"--public-addr", o.public, "--submit-addr", o.submit, "--admin-addr", o.admin, "--data", w.t.TempDir()))
	w.eventually("gateway of "+o.domain+" is ready", func() bool {
		resp, err := http.Get("http://" + o.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// run executes calfed and returns what it prints; any failure ends the test.
func (w *world) run(o *organisation, args ...string) string {
	w.t.Helper()
	out, code := w.try(o, args...)
	if code != 0 {
		w.t.Fatalf("calfed %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func (w *world) try(_ *organisation, args ...string) (string, int) {
	w.t.Helper()
	cmd := exec.Command(w.binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() != 0 {
		return out.String() + errs.String(), cmd.ProcessState.ExitCode()
	}
	return out.String(), 0
}

// start runs a server until the test ends; its output is shown when the test fails.
func (w *world) start(name string, cmd *exec.Cmd) {
	w.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", name, out.String())
		}
	})
}

// eventually polls until ok, for servers that say nothing when they are up.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("gave up waiting: %s", what)
		case <-tick.C:
		}
	}
}

// calendar reads the object with the UID from the user's calendar by CalDAV; "" when there is none.
func (w *world) calendar(o *organisation, user, uid string) string {
	w.t.Helper()
	query := `<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:prop-filter name="UID">
<C:text-match collation="i;octet">` + uid + `</C:text-match></C:prop-filter></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`
	status, body := w.dav(o, user, "REPORT", w.home(o, user), query, "Depth", "1", "Content-Type", "application/xml")
	if status != http.StatusMultiStatus {
		w.t.Fatalf("REPORT: %d\n%s", status, body)
	}
	_, after, found := strings.Cut(body, "BEGIN:VCALENDAR")
	if !found {
		return ""
	}
	data, _, _ := strings.Cut(after, "END:VCALENDAR")
	data = "BEGIN:VCALENDAR" + data + "END:VCALENDAR\r\n"
	data = strings.NewReplacer("&#13;", "\r", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&", "\r\n", "\n").Replace(data)
	return data
}

func (w *world) home(o *organisation, user string) string {
	return o.cyrus + "/dav/calendars/user/" + user + "@" + o.domain + "/Default/"
}

// dav makes one CalDAV request as the user.
func (w *world) dav(o *organisation, user, method, url, body string, header ...string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(user+"@"+o.domain, "pw"+user)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// ports gives out ports below the range from which the system does so by itself: nobody takes one between this look and
// the server's start, and none is given out twice.
type ports struct{ next int }

func (p *ports) free(t *testing.T) string {
	t.Helper()
	if p.next == 0 {
		p.next = 20000 + mathrand.IntN(10000)
	}
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", p.next)
		p.next++
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		_ = u.Close()
		return addr
	}
	t.Fatal("no free port")
	return ""
}

// authority is a test CA.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) issue(t *testing.T, host string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
