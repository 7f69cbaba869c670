//go:build interop

package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// sideTemplate is what the administrator of a side would keep in Git.
var sideTemplate = template.Must(template.New("").Parse(`apiVersion: federation.calfed.dev/v1alpha1
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
    administrator: mailto:postmaster@{{.Own.Zone}}
  submission:
    smtp: {}
    smarthost: {host: 127.0.0.1, port: {{.Own.Smarthost}}, tls: None}
{{- range .Domains}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: {{.Name}}, namespace: default}
spec:
  domain: {{.Domain}}
  gatewayRef: {name: edge}
  signing:
    keys: [{name: {{.Name}}}]
    lookup: ["dns/txt", "http/well-known"]
    mail: Enabled
  backend:
    type: CalDAV
    calDAV:
      url: {{.URL}}
      profile: {{.Profile}}
      credentialsRef: {name: {{.Name}}-credentials}
      {{- if .Template}}
      principalTemplate: "{{.Template}}"
      {{- end}}
      {{- if .FreeBusy}}
      freeBusyPrincipal: "{{.FreeBusy}}"
      {{- else}}
      bypassACL: true
      {{- end}}
  fallback: {type: IMIP}
  submitters:
  - {name: tools, tokenRef: {name: {{.Name}}-token, key: token}}
  - {name: mail, basicRef: {name: {{.Name}}-mail}}
  {{- if .PinnedKey}}
  - {name: davical, pinnedKey: {selector: cal, record: "{{.PinnedKey}}"}}
  {{- end}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: {{.Name}}, namespace: default}
spec:
  domain: {{.Domain}}
  source:
    type: Imported
    imported: {selector: calfed, secretRef: {name: {{.Name}}-dkim, key: private.key}}
---
apiVersion: v1
kind: Secret
metadata: {name: {{.Name}}-credentials, namespace: default}
stringData: {username: "{{.Login}}", password: pwgateway}
---
apiVersion: v1
kind: Secret
metadata: {name: {{.Name}}-token, namespace: default}
stringData: {token: token-of-{{.Domain}}}
---
apiVersion: v1
kind: Secret
metadata: {name: {{.Name}}-mail, namespace: default}
stringData: {username: {{.Name}}, password: {{.MailPassword}}}
{{- end}}
{{- range .Peers}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: {{.Name}}, namespace: default}
spec:
  peers: ["{{.Peer}}"]
  action: Allow
  {{- if .FreeBusy}}
  inbound: {freeBusy: {{.FreeBusy}}}
  {{- end}}
{{- end}}
`))

// freeBusy is what the east shows to the systems of the west, which shows nothing: so one world tests all three levels.
var freeBusy = map[string]string{"Cyrus": "BusyOnly", "DAViCal": "Full", "Radicale": "BusyOnly"}

func (f *federation) manifests(own, peer *side) {
	f.t.Helper()
	type domain struct{ Name, Domain, URL, Profile, Template, FreeBusy, Login, PinnedKey, MailPassword string }
	type policy struct{ Name, Peer, FreeBusy string }
	var domains []domain
	peers := []policy{{"mail", f.stranger.domain, ""}}
	var buf, secrets bytes.Buffer
	for _, kind := range kinds {
		s := own.systems[kind]
		d := domain{Name: strings.ToLower(kind), Domain: s.Domain, URL: s.Base, Profile: kind, Login: s.Login("gateway").Name, MailPassword: mailPassword(s)}
		switch kind {
		case "Cyrus":
			d.URL += "/dav/"
			d.FreeBusy = "/dav/principals/user/" + d.Login + "/"
		case "DAViCal":
			d.URL += "/caldav.php/"
			d.FreeBusy = "/caldav.php/gateway/"
			d.PinnedKey = strings.TrimSpace(f.run("dkim", "keygen", "--out", filepath.Join(own.folders[kind], "dkim.key")))
		case "Radicale":
			d.Template = "/{local}/"
		}
		domains = append(domains, d)
		level := freeBusy[kind]
		if own == f.west {
			level = "Deny"
		}
		peers = append(peers, policy{d.Name, peer.systems[kind].Domain, level})

		key := filepath.Join(f.t.TempDir(), "dkim.pem")
		f.run("dkim", "keygen", "--out", key)
		private, err := os.ReadFile(key)
		if err != nil {
			f.t.Fatal(err)
		}
		secret(&secrets, d.Name+"-dkim", "private.key", private)
	}
	err := sideTemplate.Execute(&buf, map[string]any{
		"DNS": f.dns, "Domains": domains, "Peers": peers,
		"Own": map[string]string{"Zone": own.zone, "Host": own.host, "Smarthost": port(own.smarthost.addr)},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	certificate, certificateKey := f.certificate(own.host)
	secret(&secrets, "edge-tls", "tls.crt", certificate, "tls.key", certificateKey)
	secret(&secrets, "test-ca", "ca.crt", f.ca.PEM())
	if err := os.WriteFile(filepath.Join(own.dir, "gateway.yaml"), append(buf.Bytes(), secrets.Bytes()...), 0o600); err != nil {
		f.t.Fatal(err)
	}
}
