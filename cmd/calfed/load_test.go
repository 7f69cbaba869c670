package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/controllers/compile"
)

func compiledFrom(t *testing.T, text string) *compiled {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := compileManifests([]string{file}, compile.CapabilityState{}, time.Unix(1780000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func gatewayText(namespace, name string) string {
	return "---\napiVersion: federation.calfed.dev/v1alpha1\nkind: FederationGateway\nmetadata: {name: " + name + ", namespace: " + namespace +
		"}\nspec: {host: gw.example.org, tls: {type: Secret, secret: {name: t}}}\n"
}

func TestWhichGatewayIsMeant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, ask, err string }{
		"the only one needs no name":          {gatewayText("default", "edge"), "", ""},
		"by its name":                         {gatewayText("default", "edge") + gatewayText("default", "other"), "edge", ""},
		"by namespace and name":               {gatewayText("a", "edge") + gatewayText("b", "edge"), "b/edge", ""},
		"several and none named":              {gatewayText("b", "edge") + gatewayText("a", "edge"), "", "choose one with --gateway: a/edge, b/edge"},
		"a name in two namespaces is not one": {gatewayText("b", "edge") + gatewayText("a", "edge"), "edge", "choose one with --gateway: a/edge, b/edge"},
		"a name nobody has":                   {gatewayText("default", "edge"), "egde", `no FederationGateway "egde"`},
		"none at all":                         {"", "", errNoGateway.Error()},
		"none at all, and one asked for":      {"", "edge", errNoGateway.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compiledFrom(t, tc.text).gateway(tc.ask)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

// Two gateways that read one policy say the same of it: once is enough.
func TestFindingsAreSaidOnceInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	c := compiledFrom(t, gatewayText("default", "a")+gatewayText("default", "b")+
		"---\napiVersion: federation.calfed.dev/v1alpha1\nkind: PeerPolicy\nmetadata: {name: p}\n"+
		"spec: {peers: [a.example], action: Allow, outbound: {authorizationRef: {name: missing, key: k}}}\n")
	seen := 0
	for i, p := range c.problems {
		if p.Object == "PeerPolicy default/p" && p.Field == "spec.outbound.authorizationRef.name" {
			seen++
		}
		if i > 0 && p.Line < c.problems[i-1].Line {
			t.Errorf("%v comes after %v", p, c.problems[i-1])
		}
	}
	if seen != 1 || c.errors() != 3 {
		t.Errorf("%d errors, the policy's said %d times: %v", c.errors(), seen, c.problems)
	}
}
