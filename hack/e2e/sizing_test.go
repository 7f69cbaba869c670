//go:build e2e

package e2e_test

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

var (
	sizing        = flag.Bool("sizing", false, "measure what pods need (make sizing) on a cluster of its own, and leave everything in it")
	sizingRates   = flag.String("rates", "100,500,1000", "messages per second to measure gateway pods at")
	sizingDomains = flag.String("domains", "1,1000,10000,50000@1536Mi", "numbers of FederatedDomains to measure at, ascending; from @ on with that memory limit")
	sizingFor     = flag.Duration("for", time.Minute, "how long each rate, and each rest, is measured")
)

// southNS is where the gateway is that is measured.
const southNS = "south"

// south is its organisation: its gateway, and a domain for each algorithm of keys. It sends to sender.example, and back.
const south = `
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: south}
spec:
  host: gw.south.example
  tls: {type: Secret, secret: {name: edge-tls}}
  replicas: 1
  egress:
    backendCIDRs: &private ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    peerCIDRs: *private
    resolver: "{dns}:53"
    caBundleRef: {kind: Secret, name: test-ca, key: ca.crt}
  limits: {maxConnectionsPerSource: 1024, requestsPerSource: 5000/s, keyLookupsPerSource: 100/s} # the peer is one source
  allowedDomains:
  - {from: Same}
  - {from: All, backendHosts: ["*"], proof: NotRequired}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: sender, namespace: south}
spec: {peers: [sender.example], action: Allow}
`

const southDomain = `
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: {algorithm}, namespace: south}
spec:
  domain: {algorithm}.south.example
  source: {type: Imported, imported: {selector: load, secretRef: {name: key-{algorithm}, key: private.key}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: {algorithm}, namespace: south}
spec:
  domain: {algorithm}.south.example
  gatewayRef: {name: edge}
  signing: {keys: [{name: {algorithm}}]}
  backend: {type: ISchedule, iSchedule: {url: "{backend}"}}
  submitters:
  - {name: tools, tokenRef: {name: submit-token, key: token}}
`

// algorithms of the keys that messages are signed with.
var algorithms = []string{"ed25519", "rsa-2048"}

// measured is an installation of which others hear nothing: the operator, one gateway, and pods that make load.
type measured struct {
	*traffic
	gateway client.ObjectKey
}

// TestSizing measures what the tables of charts/calfed/README.md say of pods. It proves nothing.
func TestSizing(t *testing.T) {
	if !*sizing {
		t.Skip("make sizing runs this")
	}
	dumpIfFailed(t)
	m := toMeasure(t)
	t.Run("rates", m.rates)
	t.Run("domains", m.domains)
}

// toMeasure makes the installation.
func toMeasure(t *testing.T) *measured {
	t.Helper()
	w := &world{ground: onGround(t), tally: &tally.Tally{}}
	backend := w.serve(t, w.tally)
	w.ends = append(w.ends, backend.Close)
	w.DNS.Set(t, "example.org. 1 IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 1\nexample.org. 60 IN NS ns1.example.org.\n") // the tenants': nothing is there
	w.Set(t, "ns1.example.org", "A", nsIP)
	w.serveSender(t)
	w.install(t)
	w.namespace(t, southNS)
	w.Certificate(t, southNS, "edge-tls", "gw.south.example", "submit.south.example")
	w.Secret(t, southNS, "test-ca", map[string]string{"ca.crt": string(w.CA.PEM())})
	w.Secret(t, southNS, "submit-token", map[string]string{"token": "token-of-south"})
	secret := map[string]string{"ca.pem": string(w.CA.PEM()), "token": "token-of-south"}
	manifest := strings.ReplaceAll(south, "{dns}", w.hostIP)
	for _, a := range algorithms {
		private, record := admintest.Key(t, a)
		w.Set(t, "load-"+a+"._domainkey.sender.example", "TXT", record)
		secret[a+".pem"] = private
		private, _ = admintest.Key(t, a)
		w.Secret(t, southNS, "key-"+a, map[string]string{"private.key": private})
		manifest += strings.NewReplacer("{algorithm}", a, "{backend}", backend.URL+"/ischedule").Replace(southDomain)
	}
	w.apply(t, manifest)
	kube, err := kubernetes.NewForConfig(w.config)
	if err != nil {
		t.Fatal(err)
	}
	m := &measured{traffic: &traffic{world: w, kube: kube}, gateway: client.ObjectKey{Namespace: southNS, Name: "edge"}}
	w.namespace(t, peersNS)
	w.Secret(t, peersNS, "peer", secret)
	return m
}

// serveSender serves the gateway of sender.example, which takes every message without a look at its signature.
func (w *world) serveSender(t *testing.T) {
	t.Helper()
	leaf, err := w.CA.Issue(catest.Leaf{DNS: []string{"gw.sender.example"}})
	if err != nil {
		t.Fatal(err)
	}
	address, err := freePort(w.hostIP)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(all{w.tally})
	_ = server.Listener.Close()
	server.Listener, server.TLS = ln, &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.StartTLS()
	w.ends = append(w.ends, server.Close)
	_, port, _ := net.SplitHostPort(address)
	w.DNS.Set(t, fmt.Sprintf("gw.sender.example. 60 IN A %s\n_ischedules._tcp.sender.example. 60 IN SRV 0 0 %s gw.sender.example.\n", w.hostIP, port))
}

// all is a tally with a capabilities document that excludes nothing, as gateways want it of strangers.
type all struct{ *tally.Tally }

func (a all) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost {
		a.Tally.ServeHTTP(w, req)
		return
	}
	ischedule.WriteDocument(w, http.StatusOK, (&ischedule.Capabilities{
		Serial: 1, Versions: []string{ischedule.Version}, Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
		DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
		MaxContentLength: 1 << 20, MaxRecipients: 100, MaxInstances: 1000,
		MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		Administrator: "mailto:postmaster@sender.example",
	}).Marshal())
}

// amount is one of -domains.
type amount struct {
	domains int
	memory  string // limit of operator and gateway pods, "" = the default
}

func amounts(t *testing.T) []amount {
	t.Helper()
	var out []amount
	for _, text := range strings.Split(*sizingDomains, ",") {
		number, memory, _ := strings.Cut(text, "@")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			t.Fatalf("-domains: %q is no number of domains", text)
		}
		out = append(out, amount{n, memory})
	}
	return out
}

// table is a Markdown table, whose rows are shown as they come.
type table struct {
	t    *testing.T
	rows []string
}

func newTable(t *testing.T, head ...string) *table {
	t.Helper()
	out := &table{t: t}
	out.add(head...)
	out.rows = append(out.rows, "|"+strings.Repeat("---|", len(head)))
	return out
}

func (b *table) add(cells ...string) {
	b.t.Helper()
	row := "| " + strings.Join(cells, " | ") + " |"
	b.rows = append(b.rows, row)
	b.t.Log(row)
}

func (b *table) show() {
	b.t.Helper()
	b.t.Logf("\n%s", strings.Join(b.rows, "\n"))
}
