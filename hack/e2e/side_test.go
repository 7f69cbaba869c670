//go:build e2e

package e2e_test

import (
	"strings"
	"testing"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/calendartest"
)

// side is one organisation: a namespace with a FederationGateway called edge, a calendar system, and a domain that counts.
type side struct {
	name, zone string // west, west.example
	host       string // of the gateway, as others reach it
	submitHost string // of its Service for calendar systems
	public     string // ClusterIPs of the two
	submit     string
	system     *calendartest.System
	server     *calendartest.Server
	split      *primarytest.Server // the name server of its calendar system: the other side's SRV records lead to the own gateway
	pinned     string              // record of the key that DAViCal signs with
	load       string              // load.west.example
}

func newSide(name, kind string) *side {
	zone := name + ".example"
	return &side{
		name: name, zone: zone, host: "gw." + zone, submitHost: "submit." + zone, load: "load." + zone,
		system: &calendartest.System{Kind: kind, Domain: strings.ToLower(kind) + "." + zone},
	}
}

// token is what every submitter of a side shows.
func (s *side) token() string { return "submit-token-of-" + s.name }

// submitURL takes messages with the token, for all domains of the side.
func (s *side) submitURL() string { return "https://" + s.submitHost + ":8080/" }

// sideTemplate is what the administrator of a side keeps in Git.
var sideTemplate = template.Must(template.New("").Parse(`apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: {{.Own.Name}}}
spec:
  host: {{.Own.Host}}
  tls: {type: Secret, secret: {name: edge-tls}}
  replicas: 2
  defaultPolicy: Deny
  egress:
    backendCIDRs: &private ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    peerCIDRs: *private
    resolver: "{{.DNS}}:53"
    caBundleRef: {kind: Secret, name: test-ca, key: ca.crt}
  submission: {smtp: {}, smarthost: {host: "{{.DNS}}", port: 2526, tls: None}} # nobody is there: no mail is sent but invitations
  limits: {maxConnectionsPerSource: 1024, requestsPerSource: 5000/s, keyLookupsPerSource: 100/s} # all peers have one address here
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: calendar, namespace: {{.Own.Name}}}
spec:
  domain: {{.Own.Domain}}
  gatewayRef: {name: edge}
  signing: {keys: [{name: calendar}]}
  backend:
    type: CalDAV
    calDAV:
      url: {{.URL}}
      profile: {{.Profile}}
      credentialsRef: {name: calendar-credentials}
      freeBusyPrincipal: "{{.FreeBusy}}"
  submitters:
  - {name: tools, tokenRef: {name: submit-token, key: token}}
  - {name: mail, basicRef: {name: submit-mail}}
  {{- if .Pinned}}
  - {name: davical, pinnedKey: {selector: cal, record: "{{.Pinned}}"}}
  {{- end}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: calendar, namespace: {{.Own.Name}}}
spec:
  domain: {{.Own.Domain}}
  source: {type: Imported, imported: {selector: cal1, secretRef: {name: dkim, key: private.key}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: load, namespace: {{.Own.Name}}}
spec:
  domain: {{.Own.Load}}
  gatewayRef: {name: edge}
  signing: {keys: [{name: load}], lookup: ["dns/txt"]} # the operator does not look at private addresses
  backend: {type: ISchedule, iSchedule: {url: "{{.Backend}}"}}
  submitters:
  - {name: tools, tokenRef: {name: submit-token, key: token}}
  publish: {type: RFC2136, rfc2136: {server: ns1.{{.Own.Zone}}, tsig: {keyName: calfed, secretRef: {name: tsig, key: key}}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: load, namespace: {{.Own.Name}}}
spec:
  domain: {{.Own.Load}}
  source: {type: Generated, generated: {rotation: {publishBefore: 0s, retireAfter: 0s}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: partners, namespace: {{.Own.Name}}}
spec:
  peers: ["*.{{.Peer.Zone}}", sender.example]
  action: Allow
  inbound: {freeBusy: BusyOnly}
`))

// manifest is what a side applies. Backend is the URL of its domain that counts.
func (w *world) manifest(own, peer *side, backend string) string {
	type org struct{ Name, Zone, Host, Domain, Load string }
	of := func(s *side) org { return org{s.name, s.zone, s.host, s.system.Domain, s.load} }
	in := map[string]any{
		"Own": of(own), "Peer": of(peer), "DNS": w.hostIP, "Backend": backend, "Profile": own.system.Kind, "Pinned": own.pinned,
		"URL": own.system.Base + "/caldav.php/", "FreeBusy": "/caldav.php/gateway/",
	}
	if own.system.Kind == "Cyrus" {
		in["URL"], in["FreeBusy"] = own.system.Base+"/dav/", "/dav/principals/user/"+own.system.Address("gateway")+"/"
	}
	var b strings.Builder
	if err := sideTemplate.Execute(&b, in); err != nil {
		panic(err)
	}
	return b.String()
}

// secrets makes what the manifest of a side refers to.
func (w *world) secrets(t *testing.T, s *side) {
	t.Helper()
	w.Certificate(t, s.name, "edge-tls", s.host, s.submitHost)
	w.Secret(t, s.name, "test-ca", map[string]string{"ca.crt": string(w.CA.PEM())})
	if w.c.Get(t.Context(), client.ObjectKey{Namespace: s.name, Name: "dkim"}, &corev1.Secret{}) != nil { // a key stays under its selector
		private, _ := admintest.Key(t, "rsa-2048")
		w.Secret(t, s.name, "dkim", map[string]string{"private.key": private})
	}
	w.Secret(t, s.name, "tsig", map[string]string{"key": tsig})
	login := s.system.Login("gateway")
	w.Secret(t, s.name, "calendar-credentials", map[string]string{"username": login.Name, "password": login.Password})
	w.Secret(t, s.name, "submit-token", map[string]string{"token": s.token()})
	w.Secret(t, s.name, "submit-mail", map[string]string{"username": "calendar", "password": s.mailPassword()})
}

func (s *side) mailPassword() string { return "mail-password-of-" + s.name }
