//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

// homes is a gateway for tenants, in the namespace landlord: those who live in homes may have domains below homes.east.example, once they
// prove that these are theirs, with back ends at the address of the test.
type homes struct {
	*world
	a, b           *tenant
	stranger       *tenant                 // who lives elsewhere
	public, submit string                  // ClusterIPs of the gateway
	tallies        map[string]*tally.Tally // the back ends of the tenants
	urls           map[string]string       // where they are
	keys           map[string]string       // records of the keys that sign for the tenants' domains
}

const (
	hallHost     = "gw.homes.east.example"
	hallManifest = `
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: hall, namespace: landlord}
spec:
  host: gw.homes.east.example
  tls: {type: Secret, secret: {name: hall-tls}}
  replicas: 1
  egress:
    backendCIDRs: &private ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    peerCIDRs: *private
    resolver: "%[1]s:53"
    caBundleRef: {kind: Secret, name: test-ca, key: ca.crt}
  allowedDomains:
  - from: Selector
    selector: {matchLabels: {lives-in: homes}}
    domains: ["*.homes.east.example"]
    backendHosts: ["%[1]s"]
`
	// homeManifest is what a tenant has at the gateway.
	homeManifest = `
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: home}
spec:
  domain: %[1]s
  source: {type: Imported, imported: {selector: key1, secretRef: {name: %[3]s, key: private.key}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: neighbours}
spec: {peers: ["*.west.example"], action: Allow}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: home}
spec:
  domain: %[1]s
  gatewayRef: {name: hall, namespace: landlord}
  signing: {keys: [{name: home}], lookup: ["dns/txt"]}
  backend: {type: ISchedule, iSchedule: {url: "%[2]s"}}
  submitters: [{name: tools, tokenRef: {name: %[3]s, key: token}}]
`
)

// domain of a tenant.
func domainOf(n *tenant) string { return n.name + ".homes.east.example" }

// newHomes has both tenants served.
func newHomes(t *testing.T) *homes {
	t.Helper()
	h := &homes{world: shared(t), tallies: map[string]*tally.Tally{}, urls: map[string]string{}, keys: map[string]string{}}
	namespaces := []string{"landlord", "a", "b", "stranger"}
	if err := h.deleteNamespaces(t.Context(), namespaces); err != nil { // those of an earlier run may be on their way out
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && *keep {
			return
		}
		if err := h.deleteNamespaces(context.Background(), namespaces, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	h.tenant(t, "landlord", "none")
	h.a, h.b, h.stranger = h.tenant(t, "a", "homes"), h.tenant(t, "b", "homes"), h.tenant(t, "stranger", "nowhere")
	h.Certificate(t, "landlord", "hall-tls", hallHost)
	h.Secret(t, "landlord", "test-ca", map[string]string{"ca.crt": string(h.CA.PEM())})
	h.apply(t, fmt.Sprintf(hallManifest, h.hostIP))
	for _, n := range []*tenant{h.a, h.b} {
		h.furnish(t, n)
		n.apply(t, h.home(n))
	}
	h.public, h.submit = h.serviceIP(t, "landlord", "hall"), h.serviceIP(t, "landlord", "hall-submit")
	h.Set(t, hallHost, "A", h.public)
	h.until(t, "the landlord's gateway is ready", func() string {
		return strings.Join(h.notReady(context.Background(), "landlord"), "\n")
	}, func(ctx context.Context) bool { return len(h.notReady(ctx, "landlord")) == 0 })
	for _, n := range []*tenant{h.a, h.b} {
		n.sees(t, "FederatedDomain", "home", "Ready", "True", "Ready")
	}
	h.listening(t, h.public+":443", h.submit+":8080")
	h.reaches(t, "west", h.west.submitHost, h.west.token(), "alice@"+h.west.load, "bob@"+domainOf(h.b))
	return h
}

// furnish gives a tenant a back end, Secrets, whose names are the tenant's, and the DNS records of his domain.
func (h *homes) furnish(t *testing.T, n *tenant) {
	t.Helper()
	h.tallies[n.name] = &tally.Tally{}
	backend := h.serve(t, h.tallies[n.name])
	t.Cleanup(backend.Close)
	h.urls[n.name] = backend.URL + "/ischedule"
	private, record := admintest.Key(t, "rsa-2048")
	h.keys[n.name] = record
	n.secret(t, n.name, map[string]string{"private.key": private, "token": h.token(n)})
	domain := domainOf(n)
	proof, value := records.Challenge(hallHost, "landlord/hall", n.name, domain)
	h.Set(t, proof, "TXT", value)
	h.Set(t, "key1._domainkey."+domain, "TXT", record)
	h.Set(t, "_ischedules._tcp."+domain, "SRV", "0 0 443 "+hallHost+".")
}

// home is the manifest of a tenant.
func (h *homes) home(n *tenant) string {
	return fmt.Sprintf(homeManifest, domainOf(n), h.urls[n.name], n.name)
}

func (h *homes) token(n *tenant) string { return "submit-token-of-" + n.name }

// arrives fails unless an invitation from west to the domain of a tenant arrives at his back end, and at no other one.
func (h *homes) arrives(t *testing.T, n *tenant) {
	t.Helper()
	uid, status := h.invite(t, n)
	if status != ischedule.StatusDelivered.String() {
		t.Errorf("an invitation to %s: %s", domainOf(n), status)
	}
	for name, tally := range h.tallies {
		want := 0
		if name == n.name {
			want = 1
		}
		if _, got := tally.Count(uid); got != want {
			t.Errorf("an invitation to %s came %d times to the back end of %s, want %d", domainOf(n), got, name, want)
		}
	}
}

// invite sends an invitation from west to the domain of a tenant, and returns its UID and what its gateway says of it.
func (h *homes) invite(t *testing.T, n *tenant) (uid, status string) {
	t.Helper()
	return h.hand(t.Context(), h.west.submitHost, h.west.submit, h.west.token(), "alice@"+h.west.load, "bob@"+domainOf(n))
}
