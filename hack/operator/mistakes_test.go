//go:build interop

package operator_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	aGateway = `
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: gw}
spec:
  host: calendar.example.org
  tls: {type: Secret, secret: {name: tls}}
  egress: {resolver: "{ns}:53"}
`
	aDomain = `
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: org}
spec:
  domain: {domain}
  gatewayRef: {name: gw}
  backend: {type: ISchedule, iSchedule: {url: "https://dav.example.org/ischedule"}}
`
	aKey = `
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: key}
spec: {domain: {domain}, source: {type: Imported, imported: {selector: cal, secretRef: {name: key, key: private.key}}}}
`
)

// What a newcomer does wrong, and what kubectl says of it: the object that is wrong is not Ready, get names the reason, and
// describe says what is wrong and what to do. Read the log aloud.
func TestMistakesAreExplained(t *testing.T) {
	w := newWorld(t)
	signing := "  signing: {keys: [{name: key}]}\n"
	mistakes := []struct {
		name, manifest, object string
		secrets                func(ns string)
		get                    string   // a reason
		describe               []string // words of what is wrong, and of what to do
	}{
		{"the certificate was forgotten", aGateway, "fgw/gw", nil,
			"RefNotFound", []string{`Secret "tls" does not exist`, "create it, of type kubernetes.io/tls"}},
		{"the private key lies under another name in its Secret", aGateway + aDomain + signing + aKey, "dkey/key",
			func(ns string) {
				w.Certificate(t, ns, "tls", host)
				w.Secret(t, ns, "key", map[string]string{"key.pem": key(t, "rsa-2048")})
			},
			"RefNotFound", []string{`Secret "key" has no key "private.key" in its data`}},
		{"the private key is a public one", aGateway + aDomain + signing + aKey, "dkey/key",
			func(ns string) {
				w.Certificate(t, ns, "tls", host)
				w.Secret(t, ns, "key", map[string]string{"private.key": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"})
			},
			"InvalidValue", []string{"no private key that can sign"}},
		{"the domain names a gateway that is not there", aGateway + strings.Replace(aDomain, "gatewayRef: {name: gw}", "gatewayRef: {name: gateway}", 1), "fdom/org",
			func(ns string) { w.Certificate(t, ns, "tls", host) },
			"RefNotFound", []string{`FederationGateway "gateway" does not exist`, "create it, or correct the name"}},
		{"the domain signs with a key that is not there", aGateway + aDomain + signing, "fdom/org",
			func(ns string) { w.Certificate(t, ns, "tls", host) },
			"RefNotFound", []string{`DKIMKey "key" does not exist`, "create it, or correct the name"}},
		{"the records were not set", aGateway + aDomain + signing + aKey, "fdom/org",
			func(ns string) {
				w.Certificate(t, ns, "tls", host)
				w.Secret(t, ns, "key", map[string]string{"private.key": key(t, "ed25519")})
			},
			"NotPublished", []string{"status.records", "_ischedules._tcp.", "cal._domainkey."}},
		{"the calendar server has a private address that egress does not allow", aGateway + strings.Replace(aDomain, "https://dav.example.org/", "http://10.1.2.3:8080/", 1), "fdom/org",
			func(ns string) { w.Certificate(t, ns, "tls", host) },
			"NotPublished", []string{"10.1.2.3", "backendCIDRs"}},
		{"two objects claim one domain", aGateway + aDomain + strings.Replace(aDomain, "name: org}", "name: org-2}", 1), "fdom/org-2",
			func(ns string) { w.Certificate(t, ns, "tls", host) },
			"Conflict", []string{"already answers for", "delete one of the two"}},
		{"the gateway is another namespace's, which lets nobody attach", strings.Replace(aDomain, "gatewayRef: {name: gw}", "gatewayRef: {name: gw, namespace: shared}", 1), "fdom/org", nil,
			"NotAllowed", []string{"allowedDomains", "shared"}},
		{"the name server does not know the TSIG key", aGateway + aDomain +
			"  publish: {type: RFC2136, rfc2136: {server: ns1.example.org, tsig: {keyName: wrong, secretRef: {name: tsig, key: key}}}}\n", "fdom/org",
			func(ns string) {
				w.Certificate(t, ns, "tls", host)
				w.Secret(t, ns, "tsig", map[string]string{"key": tsig})
			},
			"PublishFailed", []string{"wrong", "key"}},
		{"the password of the calendar server was forgotten", aGateway + strings.Replace(aDomain,
			`{type: ISchedule, iSchedule: {url: "https://dav.example.org/ischedule"}}`,
			`{type: CalDAV, calDAV: {url: "https://dav.example.org/", profile: Cyrus, credentialsRef: {name: dav}}}`, 1), "fdom/org",
			func(ns string) { w.Certificate(t, ns, "tls", host) },
			"RefNotFound", []string{`Secret "dav" does not exist`, "username and password"}},
	}
	// another tenant's gateway, which allows its own domains only
	w.Put(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shared"}})
	w.Certificate(t, "shared", "tls", host)
	w.cluster.Kubectl(t, strings.ReplaceAll(aGateway, "{ns}", w.nsIP), "apply", "-n", "shared", "-f", "-")
	for i, m := range mistakes {
		ns := "mistake-" + string(rune('a'+i))
		w.Put(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
		if m.secrets != nil {
			m.secrets(ns)
		}
		w.cluster.Kubectl(t, strings.NewReplacer("{ns}", w.nsIP, "{domain}", ns+".example.org").Replace(m.manifest), "apply", "-n", ns, "-f", "-")
	}
	for i, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			ns := "mistake-" + string(rune('a'+i))
			var get, describe string
			w := w.in(t)
			w.until("it is said", func() string { return get + describe }, func(context.Context) bool {
				get = w.cluster.Kubectl(t, "", "-n", ns, "get", m.object)
				describe = w.cluster.Kubectl(t, "", "-n", ns, "describe", m.object)
				found := strings.Contains(get, " False ") && strings.Contains(get, " "+m.get+" ")
				for _, word := range m.describe {
					found = found && strings.Contains(strings.Join(strings.Fields(describe), " "), word)
				}
				return found
			})
			_, status, _ := strings.Cut(describe, "\nStatus:")
			t.Logf("\n$ kubectl get %s\n%s$ kubectl describe %s\n…\nStatus:%s", m.object, get, m.object, status)
		})
	}
}
