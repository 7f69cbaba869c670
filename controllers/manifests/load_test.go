package manifests_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/controllers/manifests"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

// folder makes files below a new folder; a name that ends in a slash is a folder, "a -> b" a symbolic link.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func loaded(t *testing.T, paths ...string) (names []string, problems []string) {
	t.Helper()
	set, found, err := manifests.Load(paths...)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range set.ConfigMaps {
		names = append(names, m.Name)
	}
	for _, p := range found {
		problems = append(problems, p.String())
	}
	return names, problems
}

func TestLoadReadsManifestsBelowAFolder(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{
		"b.yaml":                       configMap("b"),
		"a.yml":                        configMap("a"),
		"c.json":                       `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "\u00e4\/"}}`,
		"deep/er/d.yaml":               configMap("d") + "---\n" + configMap("e"),
		"README.md":                    "not a manifest: [",
		"kustomization.yaml":           "resources: [a.yml]",
		".hidden.yaml":                 "[",
		".git/x.yaml":                  "[",
		"..2026_11_22/mounted.yaml":    configMap("mounted"),
		"..data":                       "-> ..2026_11_22",
		"mounted.yaml":                 "-> ..data/mounted.yaml", // how Kubernetes mounts volumes
		"crlf.yaml":                    strings.ReplaceAll(configMap("crlf"), "\n", "\r\n"),
		"empty.yaml":                   "",
		"only-comments-and-dashes.yml": "# nothing\n---\n---\n",
	})
	names, problems := loaded(t, root)
	if diff := cmp.Diff([]string{"a", "b", "c", "crlf", "d", "e", "mounted"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

func TestJSONReadsAsJSON(t *testing.T) {
	t.Parallel()
	set := parse(t, "{\n\t\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"data\": {\"x\": \"\\/\\ud83d\\ude00\\u00e4\\\\u0041\\ud83d\\n\\\"\"}\n}\n")
	if got, want := set.ConfigMaps[0].Data["x"], "/\U0001F600\u00e4\\u0041\uFFFD\n\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, line := set.Position("ConfigMap", "default", "a", "data[x]"); line != 4 {
		t.Errorf("line %d", line)
	}
}

func TestLoadReadsNamedFilesOnce(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"a.yaml": configMap("a"), "b.txt": configMap("b")})
	names, problems := loaded(t, root, filepath.Join(root, "a.yaml"), filepath.Join(root, "b.txt"))
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || len(problems) > 0 {
		t.Errorf("problems %v, (-want +got):\n%s", problems, diff)
	}
}

func TestLoadFollowsAFolderThatIsALink(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"real/a.yaml": configMap("a"), "link": "-> real"})
	if names, _ := loaded(t, filepath.Join(root, "link")); len(names) != 1 {
		t.Errorf("read %v", names)
	}
}

func TestLoadFailsForWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	if _, _, err := manifests.Load(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing folder is no error")
	}
	if _, _, err := manifests.Load(folder(t, map[string]string{"broken.yaml": "-> nowhere"})); err == nil {
		t.Error("a link to nowhere is no error")
	}
	if _, _, err := manifests.Load(folder(t, map[string]string{"README.md": "no manifest"})); !errors.Is(err, manifests.ErrNoFiles) {
		t.Errorf("a folder without manifests: %v", err)
	}
	if _, _, err := manifests.Load("/dev/null"); err == nil {
		t.Error("a device is no error")
	}
}

func TestTwoObjectsOfOneNameNameBothPlaces(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{
		"a.yaml": "# one\n" + configMap("same"),
		"b.yaml": configMap("other") + "---\n" + configMap("same"),
	})
	names, problems := loaded(t, root)
	want := []string{fmt.Sprintf("%s/b.yaml:5: error: ConfigMap default/same: already defined in %s/a.yaml:2", root, root)}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"same", "other"}, names); diff != "" {
		t.Errorf("the first stays (-want +got):\n%s", diff)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"large.yaml": "#" + strings.Repeat("x", manifests.MaxFileBytes), "small.yaml": configMap("small")})
	names, problems := loaded(t, root)
	if len(names) != 1 || len(problems) != 1 || !strings.Contains(problems[0], "larger than 8388608 bytes") {
		t.Errorf("names %v, problems %v", names, problems)
	}
}

func TestManyDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	_, problems := manifests.Parse(manifests.File{Name: "many.yaml", Data: []byte(strings.Repeat("--- null\n", 10002))})
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "more than 10000 documents") {
		t.Errorf("%v", problems)
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	set := parse(t, `apiVersion: v1
kind: List
items:
- apiVersion: federation.calfed.dev/v1alpha1
  kind: FederatedDomain
  metadata:
    name: a
    annotations:
      example.org/note: "x"
  spec:
    domain: a.example
    gatewayRef: {name: e}
    signing:
      keys:
      - name: one
      - name: two
    backend: &backend
      type: ISchedule
      iSchedule:
        url: https://a.example/
- apiVersion: federation.calfed.dev/v1alpha1
  kind: FederatedDomain
  metadata: {name: b}
  spec:
    domain: b.example
    gatewayRef: {name: e}
    backend: *backend
`)
	for _, tc := range []struct {
		name, field string
		line        int
	}{
		{"a", "", 4},
		{"a", "spec", 10},
		{"a", "spec.signing.keys", 14},
		{"a", "spec.signing.keys[1]", 16},
		{"a", "spec.signing.keys[1].name", 16},
		{"a", "spec.signing.keys[7].name", 14},
		{"a", "spec.signing.lookup[0]", 13},
		{"a", "spec.backend.iSchedule.url", 20},
		{"a", "metadata.annotations[example.org/note]", 9},
		{"a", "spec.signing.keys[", 14},
		{"a", "nothing.like.it", 4},
		{"b", "spec.backend.type", 18},
		{"b", "spec.backend", 27},
		{"c", "spec", 0},
	} {
		file, line := set.Position("FederatedDomain", "default", tc.name, tc.field)
		if line != tc.line || (file == "x.yaml") != (tc.line > 0) {
			t.Errorf("%s %s: %s:%d, want line %d", tc.name, tc.field, file, line, tc.line)
		}
	}
}

func TestTheDesignsSampleLoads(t *testing.T) {
	t.Parallel()
	set, problems, err := manifests.Load("testdata/standalone.yaml")
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	if len(set.Gateways) != 1 || len(set.Domains) != 1 || len(set.Keys) != 1 || len(set.Policies) != 1 || len(set.Secrets) != 1 {
		t.Errorf("got %+v", set)
	}
	if got := set.Domains[0].Spec.Submitters[0].TokenRef.Name; got != "submit-token" {
		t.Errorf("tokenRef %q", got)
	}
}

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	t.Parallel()
	set, _ := manifests.Parse(manifests.File{Name: "x.yaml", Data: []byte(`
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: typo}
spec: {peers: ["*"], acton: Allow}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: team}
data: {token: "not base64 !"}
---
apiVersion: v1
kind: Secret
metadata: {name: good}
---
apiVersion: v1
kind: Secret
metadata: {name: good}
---
apiVersion: v1
kind: Secret
metadata: {}
`)})
	want := []manifests.Object{{Kind: "PeerPolicy", Namespace: "default", Name: "typo"}, {Kind: "Secret", Namespace: "team", Name: "token"}}
	if diff := cmp.Diff(want, set.LeftOut); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
