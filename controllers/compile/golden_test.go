package compile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
)

var update = flag.Bool("update", false, "rewrite testdata/*.out.yaml")

// now is the clock of every golden pair: the first serial is 1800000000.
var now = time.Unix(1800000000, 0).UTC()

// TestGolden compiles every testdata/NAME.in.yaml and compares with NAME.out.yaml: the snapshot, secrets shortened, and
// all findings. Regenerate with -update and read the difference.
//
// Proves: IS-CAP-4, IS-DKIM-8, IS-DISC-10, IS-SUB-1
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range goldenInputs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, gateways := readInput(t, name)
			got := render(t, in, gateways, !strings.HasPrefix(name, "gateway-"))
			file := filepath.Join("testdata", name+".out.yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, name := range goldenInputs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, gateways := readInput(t, name)
			want := render(t, in, gateways, false)
			for seed := range uint64(10) {
				rnd := rand.New(rand.NewPCG(seed, seed))
				in := in
				in.Domains = shuffled(rnd, in.Domains)
				in.Keys = shuffled(rnd, in.Keys)
				in.Policies = shuffled(rnd, in.Policies)
				in.Secrets = shuffled(rnd, in.Secrets)
				in.ConfigMaps = shuffled(rnd, in.ConfigMaps)
				if diff := cmp.Diff(string(want), string(render(t, in, gateways, false))); diff != "" {
					t.Fatalf("another order (seed %d) gives another result (-want +got):\n%s", seed, diff)
				}
			}
		})
	}
}

func shuffled[T any](rnd *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestNoFindingHoldsASecret(t *testing.T) {
	t.Parallel()
	for _, name := range goldenInputs(t) {
		in, gateways := readInput(t, name)
		findings := append(compile.Dangling(gateways, in), compile.Compile(in).Findings...)
		for _, s := range in.Secrets {
			for key, value := range s.Data {
				for line := range bytes.Lines(value) {
					line = bytes.TrimSpace(line)
					if len(line) < 8 || bytes.HasPrefix(line, []byte("-----")) {
						continue
					}
					for _, f := range findings {
						if strings.Contains(f.Message, string(line)) {
							t.Errorf("%s: a finding holds the value of %s/%s: %s", name, s.Name, key, f.Message)
						}
					}
				}
			}
		}
	}
}

func goldenInputs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden inputs: %v", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".in.yaml")
	}
	return files
}

// readInput decodes the documents of one golden input, without the API server's checks: mistakes that these would stop
// must not hurt either. A value "file:NAME" in a Secret or ConfigMap stands for testdata/files/NAME. The
// gateway named edge is the one compiled.
func readInput(t testing.TB, name string) (compile.Input, []v1alpha1.FederationGateway) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	in := compile.Input{Now: now}
	var gateways []v1alpha1.FederationGateway
	for i, doc := range strings.Split(string(text), "\n---\n") {
		var head struct{ Kind string }
		decode := func(into any) {
			if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
				t.Fatalf("document %d: %v", i, err)
			}
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatalf("document %d: %v", i, err)
		}
		switch head.Kind {
		case v1alpha1.KindFederationGateway:
			gateways = append(gateways, v1alpha1.FederationGateway{})
			decode(&gateways[len(gateways)-1])
		case v1alpha1.KindFederatedDomain:
			in.Domains = append(in.Domains, v1alpha1.FederatedDomain{})
			decode(&in.Domains[len(in.Domains)-1])
		case v1alpha1.KindDKIMKey:
			in.Keys = append(in.Keys, v1alpha1.DKIMKey{})
			decode(&in.Keys[len(in.Keys)-1])
		case v1alpha1.KindPeerPolicy:
			in.Policies = append(in.Policies, v1alpha1.PeerPolicy{})
			decode(&in.Policies[len(in.Policies)-1])
		case "Secret":
			var s corev1.Secret
			decode(&s)
			s.Data = map[string][]byte{}
			for k, v := range s.StringData {
				s.Data[k] = content(t, v)
			}
			in.Secrets = append(in.Secrets, s)
		case "ConfigMap":
			var m corev1.ConfigMap
			decode(&m)
			for k, v := range m.Data {
				m.Data[k] = string(content(t, v))
			}
			in.ConfigMaps = append(in.ConfigMaps, m)
		case "Namespace":
			in.Namespaces = append(in.Namespaces, corev1.Namespace{})
			decode(&in.Namespaces[len(in.Namespaces)-1])
		default:
			t.Fatalf("document %d: kind %q", i, head.Kind)
		}
	}
	i := slices.IndexFunc(gateways, func(g v1alpha1.FederationGateway) bool { return g.Name == "edge" && g.Namespace == "default" })
	if i < 0 {
		t.Fatal("no gateway default/edge")
	}
	in.Gateway = &gateways[i]
	return in, gateways
}

func content(t testing.TB, value string) []byte {
	t.Helper()
	name, isFile := strings.CutPrefix(value, "file:")
	if !isFile {
		return []byte(value)
	}
	data, err := os.ReadFile(filepath.Join("testdata", "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// render is what a golden output holds; the gateway's part only where that is what the pair is about.
func render(t *testing.T, in compile.Input, gateways []v1alpha1.FederationGateway, withoutGateway bool) []byte {
	t.Helper()
	out := compile.Compile(in)
	findings := compile.SortFindings(append(compile.Dangling(gateways, in), out.Findings...))
	var doc struct {
		Findings []string `json:"findings,omitempty"`
		Snapshot any      `json:"snapshot"`
	}
	for _, f := range findings {
		doc.Findings = append(doc.Findings, fmt.Sprintf("%s %s %s/%s %s: %s: %s", f.Severity, f.Kind, f.Namespace, f.Name, f.Field, f.Reason, f.Message))
	}
	text, err := json.Marshal(out.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc.Snapshot); err != nil {
		t.Fatal(err)
	}
	shorten(doc.Snapshot)
	if snap, ok := doc.Snapshot.(map[string]any); ok && withoutGateway {
		delete(snap, "gateway")
	}
	rendered, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// shorten replaces secrets and PEM by the beginning of their hash.
func shorten(v any) {
	secret := []string{"certificate", "key", "private", "caBundle", "ca", "tokenSHA256", "authorization", "password", "passwordSHA256", "token"}
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if s, ok := inner.(string); ok && slices.Contains(secret, k) {
				sum := sha256.Sum256([]byte(s))
				v[k] = fmt.Sprintf("sha256:%x", sum[:4])
				continue
			}
			shorten(inner)
		}
	case []any:
		for _, inner := range v {
			shorten(inner)
		}
	}
}
