//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/calfed/calfed/hack/calendartest"
)

// organisation is one side of the iSchedule world: a Cyrus, a gateway in front of it, and the domain they answer for.
type organisation struct {
	calendartest.System        // Cyrus
	host                string // of the gateway
	dir                 string // manifests
	public              string // host:port of the gateway's listeners
	submit              string
	admin               string
	token               string
	backend             string // ISchedule back end
}

// world is two organisations whose Cyrus takes iSchedule, and the DNS server through which they find each other.
type world struct {
	*rig
	dns  string // host:port
	a, b *organisation
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{rig: newRig(t)}
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
	httpAddr, imapAddr := w.ports.free(w.t), w.ports.free(w.t)
	o := &organisation{
		System: calendartest.System{Kind: "Cyrus", Domain: domain, Base: "http://" + httpAddr},
		host:   "gw." + domain, dir: w.t.TempDir(),
		public: w.ports.free(w.t), submit: w.ports.free(w.t), admin: w.ports.free(w.t),
		token: "token-of-" + domain, backend: "http://" + httpAddr + "/ischedule",
	}
	if err := w.up(calendartest.Cyrus(scripts, w.dir("cyrus"), domain, httpAddr, imapAddr, users...)); err != nil {
		w.t.Fatal(err)
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
		"Own":  side{own.Domain, own.host, own.backend, own.token},
		"Peer": side{peer.Domain, peer.host, peer.backend, peer.token},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	key := filepath.Join(w.t.TempDir(), "dkim.pem")
	w.run("dkim", "keygen", "--algorithm", "rsa-2048", "--out", key)
	private, err := os.ReadFile(key)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, certificateKey := w.certificate(own.host)
	secret(&buf, "own-dkim", "private.key", private)
	secret(&buf, "edge-tls", "tls.crt", certificate, "tls.key", certificateKey)
	secret(&buf, "test-ca", "ca.crt", w.ca.PEM())
	if err := os.WriteFile(filepath.Join(own.dir, "gateway.yaml"), buf.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// startDNS runs Debian's dnsmasq with what `calfed dns` prints for both domains.
func (w *world) startDNS() {
	w.t.Helper()
	var conf strings.Builder
	conf.WriteString("local-ttl=60\n") // its own default, 0, would have every message look its key up again
	for _, o := range []*organisation{w.a, w.b} {
		_, port, _ := net.SplitHostPort(o.public)
		conf.WriteString(w.run("dns", o.Domain, "--manifests", o.dir, "--format", "dnsmasq", "--port", port))
		fmt.Fprintf(&conf, "\nhost-record=%s,127.0.0.1\nlocal=/%s/\n", o.host, o.Domain)
	}
	w.t.Logf("DNS, as calfed dns prints it:\n%s", conf.String())
	w.dnsmasq(w.dns, conf.String())
}

// serve starts the organisation's gateway and waits until it is ready.
func (w *world) serve(o *organisation) {
	w.t.Helper()
	w.start("calfed of "+o.Domain, exec.Command(w.binary, "serve", "--manifests", o.dir,
		"--public-addr", o.public, "--submit-addr", o.submit, "--admin-addr", o.admin, "--data", w.t.TempDir()))
	w.ready(o.admin)
}
