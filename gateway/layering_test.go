package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/calfed/calfed/"

// floors says for every package of the data plane on which floor it stands, and, inside floor 1, which neighbours stand
// lower: a package imports packages of lower numbers only.
var floors = map[string]int{
	"gateway/cua":                       0,
	"gateway/freshness":                 0,
	"gateway/ischedule":                 1,
	"gateway/dkim":                      1,
	"gateway/itip":                      2, // holds messages against capabilities
	"gateway/imip":                      3,
	"gateway/resolver":                  10,
	"gateway/resolver/dnstest":          10,
	"gateway/netguard":                  11,
	"gateway/netguard/catest":           10,
	"gateway/snapshot":                  11,
	"gateway/policy":                    12,
	"gateway/discovery":                 12,
	"gateway/keys":                      12,
	"gateway/backend":                   12,
	"gateway/backend/ischedule":         13,
	"gateway/backend/memory":            13,
	"gateway/smarthost":                 12,
	"gateway/smarthost/smtptest":        12,
	"gateway/echo":                      13,
	"gateway/probe":                     13,
	"gateway/backend/caldav/caldavtest": 13,
	"gateway/backend/caldav":            14,
	"gateway/backend/imip":              14,
	"gateway/receiver":                  20,
	"gateway/sender":                    20,
	"gateway/submission":                21, // takes what the sender defines
	"gateway/submission/mail":           22,
	"gateway":                           30,
}

// The control plane reaches into the data plane only for these.
var controllersMayImport = []string{"gateway/cua", "gateway/ischedule", "gateway/dkim", "gateway/itip", "gateway/snapshot", "gateway/policy", "gateway/probe"}

func TestImportsOnlyGoDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := map[string]bool{}
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		seen[name] = true
		if slices.Contains(p.Imports, module+"controllers/kubetest") {
			t.Errorf("%s imports controllers/kubetest: only tests start a cluster", name)
		}
		switch {
		case name == "gateway" || strings.HasPrefix(name, "gateway/"):
			checkGateway(t, name, p.Imports)
		case name == "controllers" || strings.HasPrefix(name, "controllers/"):
			checkControllers(t, name, p.Imports)
		case strings.HasPrefix(name, "api/"):
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module) {
					t.Errorf("%s imports %s: the resources are types without logic", name, imp)
				}
			}
		}
	}
	for name := range floors {
		if !seen[name] {
			t.Errorf("%s has a floor and does not exist", name)
		}
	}
}

func checkGateway(t *testing.T, name string, imports []string) {
	floor, ok := floors[name]
	if !ok {
		t.Errorf("%s has no floor: give it one", name)
	}
	for _, imp := range imports {
		if strings.HasPrefix(imp, "k8s.io/") || strings.HasPrefix(imp, "sigs.k8s.io/") {
			t.Errorf("%s imports %s: the data plane knows no Kubernetes", name, imp)
		}
		if floor < 10 && (imp == "net" || imp == "os" || strings.HasPrefix(imp, "os/")) {
			t.Errorf("%s imports %s: floor 0 does no I/O", name, imp)
		}
		own, isOwn := strings.CutPrefix(imp, module)
		if !isOwn {
			continue
		}
		if lower, known := floors[own]; !known || lower >= floor {
			t.Errorf("%s (floor %d) imports %s (floor %d): imports only go down", name, floor, own, lower)
		}
	}
}

func checkControllers(t *testing.T, name string, imports []string) {
	for _, imp := range imports {
		own, isOwn := strings.CutPrefix(imp, module)
		if !isOwn || !strings.HasPrefix(own, "gateway") {
			continue
		}
		allowed := false
		for _, a := range controllersMayImport {
			allowed = allowed || own == a
		}
		if !allowed {
			t.Errorf("%s imports %s: of the data plane, controllers know floor 0, the snapshot, the policy and the probe only", name, own)
		}
	}
}
