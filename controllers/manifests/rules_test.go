package manifests_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/config/crd"
	"github.com/calfed/calfed/controllers/manifests"
)

// Objects that are right, with %s where a case puts its mistake.
var templates = map[string]string{
	"FederationGateway": "{host: gw.example.org, tls: {type: Secret, secret: {name: edge-tls}}}",
	"FederatedDomain":   "{domain: example.org, gatewayRef: {name: edge}, backend: {type: ISchedule, iSchedule: {url: 'https://calendar.example.org/'}}}",
	"DKIMKey":           "{domain: example.org, source: {type: Imported, imported: {selector: cal, secretRef: {name: dkim, key: private.key}}}}",
	"PeerPolicy":        "{peers: ['*'], action: Allow}",
}

// parseSpec parses an object of a kind, with the name x unless one follows a slash: "DKIMKey/name".
func parseSpec(kind, spec string) []manifests.Problem {
	kind, name, named := strings.Cut(kind, "/")
	if !named {
		name = "x"
	}
	text := fmt.Sprintf("apiVersion: federation.calfed.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", kind, name, spec)
	_, problems := manifests.Parse(manifests.File{Name: "x.yaml", Data: []byte(text)})
	return problems
}

func TestTheTemplatesAreAccepted(t *testing.T) {
	t.Parallel()
	for kind, spec := range templates {
		for _, p := range parseSpec(kind, spec) {
			t.Errorf("%v", p)
		}
	}
}

// Each CEL rule of the definitions has an example that it refuses, at its field and with its message; a rule without
// one fails the test. (What cannot be changed is tested at an API server.)
func TestEveryRuleRefuses(t *testing.T) {
	t.Parallel()
	rules := allRules(t)
	for _, tc := range refusals() {
		kind, spec, _ := strings.Cut(tc.object, " ")
		found := false
		for _, p := range parseSpec(kind, spec) {
			place := strings.Split(kind, "/")[0] + " " + regexp.MustCompile(`\[\d+\]`).ReplaceAllString(p.Field, "[]")
			for message := range rules[place] {
				if p.Field == tc.field && strings.HasSuffix(p.Message, message) {
					rules[place][message] = true
					found = true
				}
			}
		}
		if !found {
			t.Errorf("%s: no rule refuses it at %s: %v", tc.object, tc.field, parseSpec(kind, spec))
		}
	}
	for place, messages := range rules {
		for message, refuses := range messages {
			if !refuses && !strings.Contains(message, "cannot be changed") {
				t.Errorf("%s: no example for the rule %q", place, message)
			}
		}
	}
}

// refusals are objects with one mistake each: at least one for each rule.
func refusals() []refusal {
	const (
		domain    = "FederatedDomain {domain: %s, gatewayRef: {name: edge}, backend: {type: ISchedule, iSchedule: {url: 'https://c.example.org/'}}}"
		submitter = "FederatedDomain {domain: example.org, gatewayRef: {name: edge}, backend: {type: ISchedule, iSchedule: {url: 'https://c.example.org/'}}, submitters: [%s]}"
		gateway   = "FederationGateway {host: gw.example.org, tls: {type: Secret, secret: {name: edge-tls}}, %s}"
		policy    = "PeerPolicy {peers: ['*'], action: Allow, %s}"
		publish   = "FederatedDomain {domain: example.org, gatewayRef: {name: edge}, backend: {type: IMIP}, publish: %s}"
		update    = "{type: RFC2136, rfc2136: {server: ns1.example.org, tsig: {keyName: calfed, secretRef: {name: s, key: k}}, %s}}"
		generated = "DKIMKey {domain: example.org, source: {type: Generated, generated: {%s}}}"
	)
	refused := []refusal{
		{"FederationGateway/edge.west " + templates["FederationGateway"], ""},
		{"FederationGateway/1edge " + templates["FederationGateway"], ""},
		{"FederationGateway/edge-" + strings.Repeat("e", 48) + " " + templates["FederationGateway"], ""},
		{"FederationGateway {host: Gw.example.org, tls: {type: Secret, secret: {name: t}}}", "spec.host"},
		{"FederationGateway {host: gw.example.org., tls: {type: Secret, secret: {name: t}}}", "spec.host"},
		{"FederationGateway {host: 192.0.2.1, tls: {type: Secret, secret: {name: t}}}", "spec.host"},
		{"FederationGateway {host: gw.example.org, tls: {type: Secret}}", "spec.tls"},
		{fmt.Sprintf(gateway, "capabilities: {administrator: bob}"), "spec.capabilities.administrator"},
		{fmt.Sprintf(gateway, "capabilities: {minDateTime: '2050-01-01T00:00:00Z', maxDateTime: '2000-01-01T00:00:00Z'}"), "spec.capabilities"},
		{fmt.Sprintf(gateway, "capabilities: {messages: [{component: VFREEBUSY, methods: [REPLY]}]}"), "spec.capabilities.messages[0]"},
		{fmt.Sprintf(gateway, "egress: {backendCIDRs: [10.0.0.0]}"), "spec.egress.backendCIDRs[0]"},
		{fmt.Sprintf(gateway, "egress: {peerCIDRs: [everywhere]}"), "spec.egress.peerCIDRs[0]"},
		{fmt.Sprintf(gateway, "egress: {resolver: 'dns.example.org:53'}"), "spec.egress.resolver"},
		{fmt.Sprintf(gateway, "egress: {resolver: '10.0.0.53'}"), "spec.egress.resolver"},
		{fmt.Sprintf(gateway, "submission: {smtp: {}}"), "spec.submission"},
		{fmt.Sprintf(gateway, "submission: {smtp: {authservID: 'mx example'}, smarthost: {host: smtp.example.org, port: 25, tls: StartTLS}}"), "spec.submission.smtp.authservID"},
		{"FederationGateway {host: gw.example.org, tls: {type: CertManager}}", "spec.tls"},
		{"FederationGateway {host: gw.example.org, tls: {type: Secret, secret: {name: t}, certManager: {issuerRef: {name: i}}}}", "spec.tls"},
		{fmt.Sprintf(gateway, "allowedDomains: [{from: Selector}]"), "spec.allowedDomains[0]"},
		{fmt.Sprintf(gateway, "allowedDomains: [{from: All, selector: {}}]"), "spec.allowedDomains[0]"},
		{fmt.Sprintf(gateway, "allowedDomains: [{domains: ['team-*.example.org']}]"), "spec.allowedDomains[0].domains[0]"},
		{fmt.Sprintf(gateway, "allowedDomains: [{backendHosts: ['dav.example.org:443']}]"), "spec.allowedDomains[0].backendHosts[0]"},
		{fmt.Sprintf(gateway, "allowedDomains: [{backendHosts: [10.0.0.0/33]}]"), "spec.allowedDomains[0].backendHosts[0]"},
		{fmt.Sprintf(gateway, "allowedDomains: [{delegatedZones: ['*.dns.example.org']}]"), "spec.allowedDomains[0].delegatedZones[0]"},
		{fmt.Sprintf(gateway, "replicas: 2, autoscaling: {maxReplicas: 4}"), "spec"},
		{fmt.Sprintf(gateway, "autoscaling: {minReplicas: 3, maxReplicas: 2}"), "spec.autoscaling"},
		{fmt.Sprintf(gateway, "podTemplate: {env: [{name: GO-MEMLIMIT, value: 400MiB}]}"), "spec.podTemplate.env[0].name"},
		{fmt.Sprintf(gateway, "limits: {requestsPerSource: 0/s}"), "spec.limits.requestsPerSource"},
		{fmt.Sprintf(gateway, "limits: {keyLookupsPerSource: 5/day}"), "spec.limits.keyLookupsPerSource"},

		{fmt.Sprintf(domain, "exämple.org"), "spec.domain"},
		{fmt.Sprintf(domain, "'-.example.org'"), "spec.domain"},
		{fmt.Sprintf(domain, "example..org"), "spec.domain"},
		{"FederatedDomain {domain: example.org, gatewayRef: {name: edge}, accepts: [{component: VFREEBUSY, methods: [REPLY]}], backend: {type: ISchedule, iSchedule: {url: 'https://c.example.org/'}}}", "spec.accepts[0]"},
		{"FederatedDomain {domain: example.org, gatewayRef: {name: edge}, signing: {keys: [{name: k}], signatureLifetime: 30s}, backend: {type: ISchedule, iSchedule: {url: 'https://c.example.org/'}}}", "spec.signing.signatureLifetime"},
		{"FederatedDomain {domain: example.org, gatewayRef: {name: edge}, backend: {type: ISchedule, iSchedule: {url: 'https://c.example.org/'}}, freeBusyBackend: {type: IMIP}}", "spec.freeBusyBackend"},
		{fmt.Sprintf(submitter, "{name: neither}"), "spec.submitters[0]"},
		{fmt.Sprintf(submitter, "{name: both, tokenRef: {name: t, key: k}, clientCertificate: {caRef: {kind: Secret, name: t, key: k}, names: [a]}}"), "spec.submitters[0]"},
		{fmt.Sprintf(submitter, "{name: both, basicRef: {name: s}, pinnedKey: {selector: s, record: p=}}"), "spec.submitters[0]"},
		{fmt.Sprintf(submitter, "{name: all, tokenRef: {name: t, key: k}, clientCertificate: {caRef: {kind: Secret, name: t, key: k}, names: [a]}, basicRef: {name: s}, pinnedKey: {selector: s, record: p=}}"), "spec.submitters[0]"},
		{fmt.Sprintf(submitter, "{name: Upper, tokenRef: {name: t, key: k}}"), "spec.submitters[0].name"},
		{fmt.Sprintf(submitter, "{name: s, pinnedKey: {selector: s_1, record: p=}}"), "spec.submitters[0].pinnedKey.selector"},
		{fmt.Sprintf(submitter, "{name: s, pinnedKey: {selector: s, domain: '*', record: p=}}"), "spec.submitters[0].pinnedKey.domain"},
		{fmt.Sprintf(publish, "{type: RFC2136}"), "spec.publish"},
		{fmt.Sprintf(publish, "{type: ExternalDNS, rfc2136: {server: ns1.example.org, tsig: {keyName: k, secretRef: {name: s, key: k}}}}"), "spec.publish"},
		{fmt.Sprintf(publish, "{type: ExternalDNS, delegated: {zone: dns.example.org.}}"), "spec.publish.delegated.zone"},
		{fmt.Sprintf(publish, fmt.Sprintf(update, "zone: '*.example.org'")), "spec.publish.rfc2136.zone"},
		{fmt.Sprintf(publish, "{type: RFC2136, rfc2136: {server: 'ns1.example.org:', tsig: {keyName: k, secretRef: {name: s, key: k}}}}"), "spec.publish.rfc2136.server"},
		{fmt.Sprintf(publish, "{type: RFC2136, rfc2136: {server: 'fd00::53', tsig: {keyName: k, secretRef: {name: s, key: k}}}}"), "spec.publish.rfc2136.server"},
		{fmt.Sprintf(publish, "{type: RFC2136, rfc2136: {server: ns1.example.org, tsig: {keyName: calfed., secretRef: {name: s, key: k}}}}"), "spec.publish.rfc2136.tsig.keyName"},

		{"DKIMKey {domain: '*', source: {type: Imported, imported: {selector: cal, secretRef: {name: d, key: k}}}}", "spec.domain"},
		{"DKIMKey {domain: example.org, source: {type: Imported}}", "spec.source"},
		{"DKIMKey {domain: example.org, source: {type: Imported, imported: {selector: cal_1, secretRef: {name: d, key: k}}}}", "spec.source.imported.selector"},
		{"DKIMKey {domain: example.org, source: {type: Generated}}", "spec.source"},
		{"DKIMKey {domain: example.org, source: {type: Imported, imported: {selector: cal, secretRef: {name: d, key: k}}, generated: {}}}", "spec.source"},
		{"DKIMKey {domain: example.org, revoked: [Cal1], source: {type: Generated, generated: {}}}", "spec.revoked[0]"},
		{fmt.Sprintf(generated, "selectorPrefix: 2cal"), "spec.source.generated.selectorPrefix"},
		{fmt.Sprintf(generated, "rotation: {interval: 59m}"), "spec.source.generated.rotation.interval"},
		{fmt.Sprintf(generated, "rotation: {interval: 87601h}"), "spec.source.generated.rotation.interval"},
		{fmt.Sprintf(generated, "rotation: {publishBefore: 721h}"), "spec.source.generated.rotation.publishBefore"},
		{fmt.Sprintf(generated, "rotation: {retireAfter: 1 day}"), "spec.source.generated.rotation.retireAfter"},
		{fmt.Sprintf(generated, "selectors: Alternating, rotation: {interval: 24h, retireAfter: 24h}"), "spec.source.generated"},

		{"PeerPolicy {peers: ['*'], action: Deny, inbound: {strict: true}}", "spec"},
		{"PeerPolicy {peers: ['*'], action: Deny, outbound: {timeout: 5s}}", "spec"},
		{"PeerPolicy {peers: ['a*.example'], action: Allow}", "spec.peers[0]"},
		{fmt.Sprintf(policy, "domains: ['*.']"), "spec.domains[0]"},
		{fmt.Sprintf(policy, "inbound: {messages: [{component: VFREEBUSY, methods: [REQUEST, CANCEL]}]}"), "spec.inbound.messages[0]"},
		{fmt.Sprintf(policy, "inbound: {rate: fast}"), "spec.inbound.rate"},
		{fmt.Sprintf(policy, "inbound: {keyLookup: [private-exchange]}"), "spec.inbound.keyLookup[0]"},
		{fmt.Sprintf(policy, "inbound: {maxAge: 59s}"), "spec.inbound.maxAge"},
		{fmt.Sprintf(policy, "inbound: {maxAge: 25h}"), "spec.inbound.maxAge"},
		{fmt.Sprintf(policy, "inbound: {maxAge: 1 hour}"), "spec.inbound.maxAge"},
		{fmt.Sprintf(policy, "inbound: {thirdPartySigners: ['*.example.org']}"), "spec.inbound.thirdPartySigners[0]"},
		{fmt.Sprintf(policy, "inbound: {pinnedKeys: [{selector: s_1, record: p=}]}"), "spec.inbound.pinnedKeys[0].selector"},
		{fmt.Sprintf(policy, "inbound: {pinnedKeys: [{selector: s, domain: Example.org, record: p=}]}"), "spec.inbound.pinnedKeys[0].domain"},
		{fmt.Sprintf(policy, "outbound: {endpoint: 'http://a.example/'}"), "spec.outbound.endpoint"},
		{fmt.Sprintf(policy, "outbound: {endpoint: 'https://a.example:25/'}"), "spec.outbound.endpoint"},
		{fmt.Sprintf(policy, "outbound: {endpoint: 'https://a.example/?user=1'}"), "spec.outbound.endpoint"},
		{fmt.Sprintf(policy, "outbound: {certificateSHA256: ['"+strings.Repeat("z", 64)+"']}"), "spec.outbound.certificateSHA256[0]"},
		{fmt.Sprintf(policy, "outbound: {timeout: 0s}"), "spec.outbound.timeout"},
		{fmt.Sprintf(policy, "outbound: {timeout: 6m}"), "spec.outbound.timeout"},
	}
	for _, field := range []string{"backend", "freeBusyBackend"} {
		for _, tc := range refusedBackends {
			other := map[string]string{"freeBusyBackend": "backend: {type: IMIP}, "}[field]
			refused = append(refused, refusal{
				"FederatedDomain {domain: example.org, gatewayRef: {name: edge}, " + other + field + ": " + tc.object + "}",
				"spec." + field + tc.field,
			})
		}
	}
	for _, tc := range refusedMailServers {
		refused = append(refused, refusal{fmt.Sprintf(gateway, "submission: {smarthost: "+tc.object+"}"), "spec.submission.smarthost" + tc.field})
	}
	return refused
}

// refusal is an object, or a part of one, and the field where a rule refuses it.
type refusal struct{ object, field string }

// Back ends that a rule refuses, with the field below the back end.
var refusedBackends = append([]refusal{
	{"{type: ISchedule}", ""},
	{"{type: CalDAV}", ""},
	{"{type: CalDAV, calDAV: {url: 'https://c.example.org/', profile: Cyrus}, iSchedule: {url: 'https://c.example.org/'}}", ""},
	{"{type: ISchedule, iSchedule: {url: 'https://c.example.org/'}, calDAV: {url: 'https://c.example.org/', profile: Cyrus}}", ""},
	{"{type: ISchedule, iSchedule: {url: 'https://c.example.org/'}, iMIP: {}}", ""},
	{"{type: ISchedule, iSchedule: {url: 'ftp://calendar.example.org:2121/'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'https://user:password@calendar.example.org/'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'https://calendar.example.org/#here'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: /ischedule}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'http://calendar.example.org/'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'http://calendar.example.org:80/'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'https://calendar.example.org:1023/'}}", ".iSchedule.url"},
	{"{type: ISchedule, iSchedule: {url: 'https://[::1]:444/'}}", ".iSchedule.url"},
	{"{type: CalDAV, calDAV: {profile: Radicale, url: 'https://c.example.org/'}}", ".calDAV"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/?user=1'}}", ".calDAV.url"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'caldav://calendar.example.org/'}}", ".calDAV.url"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://calendar.example.org:1023/'}}", ".calDAV.url"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: 'users/{local}'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: '/user-{local}/'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: '/{localpart}/'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: '/../{local}/'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: '/users/'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', principalTemplate: '/{address}/{address}'}}", ".calDAV.principalTemplate"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', freeBusyPrincipal: 'principals/calfed'}}", ".calDAV.freeBusyPrincipal"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', freeBusyPrincipal: '/{local}/'}}", ".calDAV.freeBusyPrincipal"},
	{"{type: CalDAV, calDAV: {profile: Cyrus, url: 'https://c.example.org/', freeBusyPrincipal: '/a?b'}}", ".calDAV.freeBusyPrincipal"},
}, refusedMailBackends()...)

func refusedMailBackends() (out []refusal) {
	for _, tc := range refusedMailServers {
		out = append(out, refusal{"{type: IMIP, iMIP: {server: " + tc.object + "}}", ".iMIP.server" + tc.field})
	}
	return out
}

// Mail servers that a rule refuses, with the field below the server.
var refusedMailServers = []refusal{
	{"{host: Smtp.example.org, port: 25, tls: StartTLS}", ".host"},
	{"{host: 'smtp.example.org:587', port: 587, tls: StartTLS}", ".host"},
	{"{host: smtp.example.org, port: 443, tls: StartTLS}", ".port"},
	{"{host: smtp.example.org, port: 1023, tls: StartTLS}", ".port"},
	{"{host: smtp.example.org, port: 25, tls: None, credentialsRef: {name: s}}", ""},
}

// What lies just inside the rules.
func TestRulesAllow(t *testing.T) {
	t.Parallel()
	for _, object := range []string{
		"FederatedDomain {domain: xn--exmple-cua.org, gatewayRef: {name: e}, backend: {type: ISchedule, iSchedule: {url: 'http://10.0.0.1:1024'}}}",
		"FederatedDomain {domain: a-b.example.org, gatewayRef: {name: e}, backend: {type: ISchedule, iSchedule: {url: 'http://[fd00::1]:443/a/b?c=d'}}}",
		"FederatedDomain {domain: a.b.c.d.e.f.example.org, gatewayRef: {name: e}, backend: {type: ISchedule, iSchedule: {url: 'https://calendar.example.org:65535/@user'}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: IMIP}, fallback: {type: IMIP}, signing: {keys: [{name: k}], mail: Enabled}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: IMIP, iMIP: {}}, freeBusyBackend: {type: CalDAV, calDAV: {url: 'https://c.example.org', profile: SabreDAV}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: IMIP, iMIP: {server: {host: '2001:db8::25', port: 65535, tls: None}}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: CalDAV, calDAV: {url: 'http://127.0.0.1:5232/', profile: Radicale, principalTemplate: '/{address}', credentialsRef: {name: s}, bypassACL: true}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: CalDAV, calDAV: {url: 'https://c.example.org/remote.php/dav/', profile: DAViCal, principalTemplate: '/a%20b/{local}/{address}/', freeBusyPrincipal: '/caldav.php/calfed/'}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: IMIP}, submitters: [{name: a, basicRef: {name: s}}, {name: b, pinnedKey: {selector: Cal.A, record: p=}}]}",
		"FederationGateway/edge-" + strings.Repeat("e", 47) + " {host: gw.example.org, tls: {type: Secret, secret: {name: t}}}",
		"FederationGateway {host: gw.example.org, tls: {type: Secret, secret: {name: t}}, submission: {smtp: {}, smarthost: {host: smtp, port: 1024, tls: Implicit, credentialsRef: {name: s}}}}",
		"FederationGateway {host: gw.example.org, tls: {type: Secret, secret: {name: t}}, submission: {smtp: {maxMessageSize: 65536, maxRecipients: 1, authservID: mx_1.example.org}, smarthost: {host: 192.0.2.25, port: 465, tls: Implicit}}}",
		"PeerPolicy {peers: ['*'], action: Allow, outbound: {signatureProfile: DAViCal}}",
		"PeerPolicy {peers: [a.example, '*.a.example', '*'], domains: ['*.example.org'], action: Deny}",
		"PeerPolicy {peers: ['*'], action: Allow, inbound: {maxAge: 1h30m, rate: 100/h}, outbound: {timeout: 5m, endpoint: 'https://a.example:8443/'}}",
		"FederationGateway {host: localhost, tls: {type: Secret, secret: {name: t}}, egress: {resolver: '[fd00::53]:53', backendCIDRs: ['::1/128']}, capabilities: {attachments: [], administrator: 'https://example.org/contact'}}",
		"FederationGateway {host: gw.example.org, tls: {type: CertManager, certManager: {issuerRef: {name: i, kind: ClusterIssuer}}}, autoscaling: {minReplicas: 2, maxReplicas: 2}, podTemplate: {env: [{name: _A1}]}}",
		"FederationGateway {host: gw.example.org, tls: {type: Secret, secret: {name: t}}, replicas: 0, allowedDomains: [{}, {from: Selector, selector: {}, proof: NotRequired}, {from: All, domains: ['*.a.example'], backendHosts: ['*', '*.a.example', 10.0.0.1, 'fd00::/8', a]}]}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e, namespace: infra}, backend: {type: IMIP}, publish: {type: RFC2136, rfc2136: {server: '[fd00::53]:53', zone: example.org, tsig: {keyName: a_b.example, algorithm: hmac-sha512, secretRef: {name: s, key: k}}}}}",
		"FederatedDomain {domain: example.org, gatewayRef: {name: e}, backend: {type: IMIP}, publish: {type: ExternalDNS, delegated: {zone: dns.example.net}}}",
		"DKIMKey {domain: example.org, revoked: [cal1, cal.2026], source: {type: Generated, generated: {selectors: Alternating, rotation: {interval: 24h, retireAfter: 23h59m, publishBefore: 0s}}}}",
		"DKIMKey {domain: example.org, serviceType: ISchedule, source: {type: Imported, imported: {selector: a.b, secretRef: {name: d, key: k}}}}",
	} {
		kind, spec, _ := strings.Cut(object, " ")
		for _, p := range parseSpec(kind, spec) {
			t.Errorf("%s: %v", object, p)
		}
	}
}

// allRules are the messages of all CEL rules, by kind and path.
func allRules(t *testing.T) map[string]map[string]bool {
	t.Helper()
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]map[string]bool{}
	for _, name := range names {
		text, err := crd.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		var walk func(path string, p apiextensionsv1.JSONSchemaProps)
		walk = func(path string, p apiextensionsv1.JSONSchemaProps) {
			for _, v := range p.XValidations {
				if rules[path] == nil {
					rules[path] = map[string]bool{}
				}
				rules[path][v.Message] = false
			}
			for name, inner := range p.Properties {
				walk(path+"."+name, inner)
			}
			if p.Items != nil && p.Items.Schema != nil {
				walk(path+"[]", *p.Items.Schema)
			}
		}
		root := *d.Spec.Versions[0].Schema.OpenAPIV3Schema
		walk(d.Spec.Names.Kind+" spec", root.Properties["spec"])
		root.Properties = nil
		walk(d.Spec.Names.Kind+" ", root)
	}
	return rules
}
