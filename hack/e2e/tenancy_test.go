//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/ischedule"
)

// Two tenants, a and b, share the gateway of a landlord. a tries to get what is b's.
//
// Proves: IS-SEND-4
func TestTenants(t *testing.T) {
	h := newHomes(t)
	h.arrives(t, h.b)
	t.Run("a domain of another", h.claimDomain)
	t.Run("keys of another", h.readKeys)
	t.Run("keys for the domain of another", h.signForAnother)
	t.Run("a gateway of another", h.useGateway)
	h.arrives(t, h.a)
	h.arrives(t, h.b)
}

// claim is what a applies for the domain of b, at a gateway.
func (h *homes) claim(gateway string) string {
	return fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: claim}
spec:
  domain: %s
  gatewayRef: %s
  backend: {type: ISchedule, iSchedule: {url: "%s"}}
`, domainOf(h.b), gateway, h.urls["a"])
}

const (
	atHall  = "{name: hall, namespace: landlord}"
	noProof = "ProofMissing"
)

func (h *homes) claimDomain(t *testing.T) {
	refused := func(t *testing.T) {
		t.Helper()
		message := h.a.sees(t, "FederatedDomain", "claim", "OwnershipProven", "False", noProof)
		h.a.sees(t, "FederatedDomain", "claim", "Ready", "False", noProof)
		if record, value := records.Challenge(hallHost, "landlord/hall", "a", domainOf(h.b)); !strings.Contains(message, record+` with the value "`+value+`"`) {
			t.Errorf("a is not asked for a proof of his own: %s", message)
		}
	}
	t.Log("a's claim is the newer one")
	h.a.apply(t, h.claim(atHall))
	refused(t)
	h.arrives(t, h.b)

	t.Log("b's is made again, and so a's is the older one")
	h.b.delete(t, "FederatedDomain", "home")
	h.a.apply(t, strings.Replace(h.claim(atHall), "name: claim", "name: claim, annotations: {calfed.dev/probe-requested-at: b is gone}", 1))
	h.until(t, "the operator has looked at a's claim since", func() string { return "" }, func(ctx context.Context) bool {
		var claim v1alpha1.FederatedDomain
		return h.c.Get(ctx, client.ObjectKey{Namespace: "a", Name: "claim"}, &claim) == nil && claim.Status.ProbeRequestedAt == "b is gone"
	})
	refused(t)
	var status string
	h.until(t, "b's domain is nobody's", func() string { return status }, func(context.Context) bool {
		_, status = h.invite(t, h.b)
		return status == ischedule.StatusUnknownUser.String()
	})
	h.b.apply(t, h.home(h.b))
	h.b.sees(t, "FederatedDomain", "home", "Ready", "True", "Ready")
	refused(t)
	h.arrives(t, h.b)

	t.Log("a says himself that it is proven")
	claim := &v1alpha1.FederatedDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "claim"}}
	forged := []byte(`{"status":{"conditions":[{"type":"OwnershipProven","status":"True","reason":"Proven","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
	h.a.mayNot(t, "write status", h.a.c.Status().Patch(t.Context(), claim, client.RawPatch("application/merge-patch+json", forged)))
	if err := h.a.c.Patch(t.Context(), claim, client.RawPatch("application/merge-patch+json", forged)); err != nil {
		t.Fatal(err)
	}
	refused(t)

	t.Log("a has a gateway of his own for it, which asks no proof of him")
	h.a.apply(t, fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: own}
spec:
  host: %s
  tls: {type: Secret, secret: {name: own-tls}}
  replicas: 0
`, hallHost))
	h.Certificate(t, "a", "own-tls", hallHost)
	h.a.delete(t, "FederatedDomain", "claim")
	var home v1alpha1.FederatedDomain
	if err := h.c.Get(t.Context(), client.ObjectKey{Namespace: "b", Name: "home"}, &home); err != nil {
		t.Fatal(err)
	}
	h.until(t, "b's is the older one, by more than the second that times of objects tell apart", func() string { return "" }, func(context.Context) bool {
		return time.Since(home.CreationTimestamp.Time) > 2*time.Second
	})
	h.a.apply(t, h.claim("{name: own}"))
	h.a.sees(t, "FederatedDomain", "claim", "Accepted", "False", "Conflict") // b has proven that it is his
	h.b.sees(t, "FederatedDomain", "home", "Ready", "True", "Ready")
	h.arrives(t, h.b)
	h.a.delete(t, "FederatedDomain", "claim")
	h.a.delete(t, "FederationGateway", "own")
}

func (h *homes) readKeys(t *testing.T) {
	t.Log("from the API server")
	for _, ns := range []string{"b", "landlord", "west", systemNS, ""} {
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &v1alpha1.FederatedDomainList{}, &v1alpha1.DKIMKeyList{}} {
			h.a.mayNot(t, fmt.Sprintf("list %T of namespace %q", list, ns), h.a.c.List(t.Context(), list, client.InNamespace(ns)))
		}
	}
	key := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "b"}}
	h.a.mayNot(t, "get b's Secret", h.a.c.Get(t.Context(), client.ObjectKeyFromObject(key), key))
	h.a.mayNot(t, "delete b's Secret", h.a.c.Delete(t.Context(), key))

	t.Log("by naming b's Secret")
	h.a.apply(t, fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: stolen}
spec:
  domain: %s
  source: {type: Imported, imported: {selector: key2, secretRef: {name: b, key: private.key}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: stolen}
spec:
  domain: other.homes.east.example
  gatewayRef: {name: hall, namespace: landlord}
  signing: {keys: [{name: stolen}, {name: b}]}
  backend: {type: CalDAV, calDAV: {url: "http://%s:8443/dav/", profile: SabreDAV, credentialsRef: {name: b}}}
  submitters: [{name: tools, tokenRef: {name: b, key: token}}]
`, "other.homes.east.example", h.hostIP))
	proof, value := records.Challenge(hallHost, "landlord/hall", "a", "other.homes.east.example")
	h.Set(t, proof, "TXT", value)
	h.a.sees(t, "DKIMKey", "stolen", "Ready", "False", "RefNotFound")
	if message := h.a.sees(t, "FederatedDomain", "stolen", "Accepted", "False", "RefNotFound"); !strings.Contains(message, `namespace "a"`) {
		t.Errorf("it was looked for elsewhere: %s", message)
	}
	name := func(reference string) error {
		return h.a.c.Patch(t.Context(), h.a.object("DKIMKey", "stolen"),
			client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"source":{"imported":{"secretRef":`+reference+`}}}}`)),
			&client.PatchOptions{Raw: &metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict}})
	}
	for _, path := range []string{"../b/b", "b/b"} {
		if err := name(`{"name":"` + path + `"}`); err != nil {
			t.Fatal(err)
		}
		h.a.sees(t, "DKIMKey", "stolen", "Ready", "False", "RefNotFound")
	}
	if err := name(`{"name":"b","namespace":"b"}`); err == nil || !strings.Contains(err.Error(), `unknown field "spec.source.imported.secretRef.namespace"`) {
		t.Errorf("a reference to another namespace was taken: %v", err)
	}
	h.a.delete(t, "FederatedDomain", "stolen")
	h.a.delete(t, "DKIMKey", "stolen")
}

// signForAnother: a has keys for the domain of b, under the selector that b has too, and under another.
func (h *homes) signForAnother(t *testing.T) {
	for _, selector := range []string{"key1", "key2"} {
		h.a.apply(t, fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: for-b-%[1]s}
spec:
  domain: %[2]s
  source: {type: Imported, imported: {selector: %[1]s, secretRef: {name: a, key: private.key}}}
`, selector, domainOf(h.b)))
		h.a.sees(t, "DKIMKey", "for-b-"+selector, "Ready", "True", "Unused")
	}
	h.a.apply(t, h.claim(atHall))
	h.a.apply(t, strings.Replace(h.home(h.a), "keys: [{name: home}]", "keys: [{name: home}, {name: for-b-key1}]", 1))
	if message := h.a.sees(t, "FederatedDomain", "home", "Accepted", "False", "InvalidValue"); !strings.Contains(message, "does not speak for") {
		t.Errorf("nothing is said of the key for b's domain: %s", message)
	}
	for selector, want := range map[string]string{"key1": h.keys["b"], "key2": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+hallHost+"/.well-known/domainkey/"+domainOf(h.b)+"/"+selector, nil)
		if err != nil {
			t.Fatal(err)
		}
		code, text, err := h.request(req, net.JoinHostPort(h.public, "443"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(text)); want != "" && got != want || want == "" && code != http.StatusNotFound {
			t.Errorf("the gateway publishes under %s: %d %s, want %q", selector, code, text, want)
		}
	}
	var home v1alpha1.FederatedDomain
	if err := h.a.c.Get(t.Context(), client.ObjectKey{Namespace: "a", Name: "home"}, &home); err != nil {
		t.Fatal(err)
	}
	for _, r := range home.Status.Records {
		if strings.Contains(r.Name, domainOf(h.b)) {
			t.Errorf("a is told to publish %s", r.Name)
		}
	}
	// the gateway of west takes it only if the signature fits the key of b, which its record shows
	if uid, status := h.hand(t.Context(), hallHost, h.submit, h.token(h.b), "bob@"+domainOf(h.b), "alice@"+h.west.load); status != ischedule.StatusDelivered.String() {
		t.Errorf("what b sends is refused: %s %s", uid, status)
	}
	if _, status := h.hand(t.Context(), hallHost, h.submit, h.token(h.a), "bob@"+domainOf(h.b), "alice@"+h.west.load); status == ischedule.StatusDelivered.String() {
		t.Error("a may send for users of b")
	} else {
		t.Logf("a, who sends as a user of b, gets %s", status)
	}
	h.a.apply(t, h.home(h.a))
	h.a.sees(t, "FederatedDomain", "home", "Ready", "True", "Ready")
	h.a.delete(t, "FederatedDomain", "claim")
	for _, selector := range []string{"key1", "key2"} {
		h.a.delete(t, "DKIMKey", "for-b-"+selector)
	}
}

func (h *homes) useGateway(t *testing.T) {
	domain := func(name, gateway, url string) string {
		return fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: guest}
spec:
  domain: %s
  gatewayRef: %s
  backend: {type: ISchedule, iSchedule: {url: "%s"}}
`, name, gateway, url)
	}
	here := h.urls["a"]
	for what, tc := range map[string]struct {
		as       *tenant
		manifest string
		reason   string
	}{
		"a gateway without allowedDomains":        {h.a, domain("guest.west.example", "{name: edge, namespace: west}", here), "NotAllowed"},
		"a gateway that is not there":             {h.a, domain("guest.homes.east.example", "{name: none, namespace: b}", here), "RefNotFound"},
		"a namespace that is not let in":          {h.stranger, domain("guest.homes.east.example", atHall, here), "NotAllowed"},
		"a name that is not let in":               {h.a, domain("guest.south.example", atHall, here), "NotAllowed"},
		"the name above those that are":           {h.a, domain("homes.east.example", atHall, here), "NotAllowed"},
		"a back end at the API server":            {h.a, domain("guest.homes.east.example", atHall, "https://10.96.0.1/"), "EgressDenied"},
		"a back end at the metadata of the cloud": {h.a, domain("guest.homes.east.example", atHall, "https://169.254.169.254/"), "EgressDenied"},
		"a back end at b's, by a name":            {h.a, domain("guest.homes.east.example", atHall, "https://edge-submit.east.svc:8080/"), "EgressDenied"},
	} {
		t.Run(what, func(t *testing.T) {
			proof, value := records.Challenge(hallHost, "landlord/hall", tc.as.name, "guest.homes.east.example")
			h.Set(t, proof, "TXT", value)
			tc.as.apply(t, tc.manifest)
			tc.as.sees(t, "FederatedDomain", "guest", "Accepted", "False", tc.reason)
			tc.as.delete(t, "FederatedDomain", "guest")
		})
	}

	t.Log("a's policies are for a's domains")
	h.a.apply(t, fmt.Sprintf(`
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: nobody-to-b}
spec: {domains: [%s], peers: ["*"], action: Deny}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: inside}
spec: {peers: [elsewhere.example], action: Allow, outbound: {endpoint: "https://10.96.0.1/"}}
`, domainOf(h.b)))
	h.a.sees(t, "PeerPolicy", "nobody-to-b", "Ready", "True", "Unused")
	h.a.sees(t, "PeerPolicy", "inside", "Accepted", "False", "EgressDenied")
	h.arrives(t, h.b)

	t.Log("a edits what is b's or the landlord's")
	for _, u := range []struct{ namespace, kind, name string }{{"b", "FederatedDomain", "home"}, {"b", "PeerPolicy", "neighbours"}, {"landlord", "FederationGateway", "hall"}} {
		object := h.a.object(u.kind, u.name)
		object.SetNamespace(u.namespace)
		h.a.mayNot(t, "edit "+u.kind+" "+u.name, h.a.c.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"mine":"yes"}}}`))))
		h.a.mayNot(t, "delete "+u.kind+" "+u.name, h.a.c.Delete(t.Context(), object))
	}
	h.a.delete(t, "PeerPolicy", "nobody-to-b")
	h.a.delete(t, "PeerPolicy", "inside")
}
