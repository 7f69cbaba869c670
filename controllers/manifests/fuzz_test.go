package manifests_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/controllers/manifests"
)

// Whatever the bytes: no panic, the same answer twice, every object has a name and a place, every problem a text,
// nothing is both kept and complained about, and what was read reads the same once it is written again.
func FuzzLoad(f *testing.F) {
	sample, err := os.ReadFile("testdata/standalone.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	for _, seed := range []string{
		"", "---\n", "a: &a [*a]\n", "{", "a: 1\na: 2\n", "? [a]\n: b\n", "- - - -\n", "a: !x y\n", "<<: {a: b}\n", "\xff\xfe", "%YAML 9\n---\n",
		configMap("a"), configMap("a") + "data: {x: n}\n",
		"apiVersion: v1\nkind: List\nitems: [{}, 5, null]\n", "apiVersion: v1\nkind: List\nitems: &i [*i]\n",
		head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: ['*'], action: Allow, inbound: {maxAge: 1h}}\n",
		head + "kind: DKIMKey\nmetadata: 5\nspec: null\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {x: YQ==}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := manifests.File{Name: "x.yaml", Data: data}
		set, problems := manifests.Parse(file)
		_, again := manifests.Parse(file)
		if diff := cmp.Diff(problems, again); diff != "" {
			t.Fatalf("another answer:\n%s", diff)
		}
		complained := map[string]bool{}
		for _, p := range problems {
			if p.Message == "" || p.File != "x.yaml" || strings.Contains(p.String(), "\n") {
				t.Fatalf("problem %q", p)
			}
			if p.Line < 0 || p.Line > 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r") {
				t.Fatalf("line %d of %q", p.Line, data)
			}
			complained[p.Object] = true
		}
		var written strings.Builder
		keep := func(kind, namespace, name string, object any) {
			if name == "" || namespace == "" {
				t.Fatalf("%s %s/%s", kind, namespace, name)
			}
			if file, line := set.Position(kind, namespace, name, "spec"); file != "x.yaml" || line < 1 {
				t.Fatalf("%s %s/%s is at %s:%d", kind, namespace, name, file, line)
			}
			text, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			written.WriteString("---\n" + string(text))
		}
		for i := range set.Gateways {
			keep("FederationGateway", set.Gateways[i].Namespace, set.Gateways[i].Name, &set.Gateways[i])
		}
		for i := range set.Domains {
			keep("FederatedDomain", set.Domains[i].Namespace, set.Domains[i].Name, &set.Domains[i])
		}
		for i := range set.Keys {
			keep("DKIMKey", set.Keys[i].Namespace, set.Keys[i].Name, &set.Keys[i])
		}
		for i := range set.Policies {
			keep("PeerPolicy", set.Policies[i].Namespace, set.Policies[i].Name, &set.Policies[i])
		}
		for i := range set.Secrets {
			keep("Secret", set.Secrets[i].Namespace, set.Secrets[i].Name, &set.Secrets[i])
		}
		reread, problems := manifests.Parse(manifests.File{Name: "y.yaml", Data: []byte(written.String())})
		if len(problems) > 0 {
			t.Fatalf("written again:\n%s\n%v", written.String(), problems)
		}
		for _, pair := range [][2]any{{set.Gateways, reread.Gateways}, {set.Domains, reread.Domains}, {set.Keys, reread.Keys}, {set.Policies, reread.Policies}} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Fatalf("written again (-first +second):\n%s", diff)
			}
		}
	})
}
