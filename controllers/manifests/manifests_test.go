package manifests_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/controllers/manifests"
)

const head = "apiVersion: federation.calfed.dev/v1alpha1\n"

// Each complaint names file, line, object and field.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"an unknown field suggests the one meant": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec:\n  peers: ['*']\n  action: Allow\n  inbond: {}\n",
			"x.yaml:7: error: PeerPolicy default/a: spec.inbond: unknown field; did you mean inbound?",
		},
		"an unknown field in a list suggests, too": {
			head + "kind: FederatedDomain\nmetadata: {name: a}\nspec:\n  domain: a.example\n  gatewayRef: {name: e}\n  signing:\n    keys:\n    - name: k\n      nane: k\n  backend: {type: ISchedule, iSchedule: {url: 'https://a.example/'}}\n",
			"x.yaml:10: error: FederatedDomain default/a: spec.signing.keys[0].nane: unknown field; did you mean name?",
		},
		"an unknown field like no other suggests nothing": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: ['*'], action: Allow, xyzzyplugh: 1}\n",
			"x.yaml:4: error: PeerPolicy default/a: spec.xyzzyplugh: unknown field",
		},
		"an unknown field of metadata suggests": {
			head + "kind: PeerPolicy\nmetadata:\n  name: a\n  lables: {}\nspec: {peers: ['*'], action: Allow}\n",
			"x.yaml:5: error: PeerPolicy default/a: metadata.lables: unknown field; did you mean labels?",
		},
		"a field set twice": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec:\n  peers: ['*']\n  action: Allow\n  action: Deny\n",
			`x.yaml:7: error: field "action" is already set in line 6`,
		},
		"a value outside an enumeration": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: ['*'], action: Permit}\n",
			`x.yaml:4: error: PeerPolicy default/a: spec.action: Unsupported value: "Permit": supported values: "Allow", "Deny"`,
		},
		"a value of the wrong type": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: '*', action: Allow}\n",
			"x.yaml:4: error: PeerPolicy default/a: spec.peers: must be of type array, not string",
		},
		"a missing field": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec:\n  peers: ['*']\n",
			"x.yaml:4: error: PeerPolicy default/a: spec.action: is required",
		},
		"a value out of bounds": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: ['*'], action: Allow, inbound: {minRSABits: 512}}\n",
			"x.yaml:4: error: PeerPolicy default/a: spec.inbound.minRSABits: should be greater than or equal to 1024",
		},
		"a list entry twice": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec:\n  action: Allow\n  peers:\n  - a.example\n  - a.example\n",
			`x.yaml:8: error: PeerPolicy default/a: spec.peers[1]: Duplicate value: "a.example"`,
		},
		"a rule broken": {
			head + "kind: PeerPolicy\nmetadata: {name: a, namespace: team}\nspec:\n  action: Allow\n  peers:\n  - a..example\n",
			`x.yaml:7: error: PeerPolicy team/a: spec.peers[0]: "a..example": must be a domain name in lower case (sender.example), a suffix (*.sender.example) or *; write an international name in its xn-- form`,
		},
		"no name": {
			head + "kind: PeerPolicy\nmetadata: {labels: {}}\nspec: {peers: ['*'], action: Allow}\n",
			"x.yaml:3: error: PeerPolicy default/: metadata.name: name or generateName is required",
		},
		"no metadata": {
			head + "kind: PeerPolicy\nspec: {peers: ['*'], action: Allow}\n",
			"x.yaml:1: error: PeerPolicy default/: metadata: is required, with a name",
		},
		"metadata of the wrong type": {
			head + "kind: PeerPolicy\nmetadata: {name: a, labels: {x: 1}}\nspec: {peers: ['*'], action: Allow}\n",
			"x.yaml:3: error: PeerPolicy default/a: metadata.labels: must be of type string, not number",
		},
		"a name that is none": {
			head + "kind: PeerPolicy\nmetadata: {name: A_b}\nspec: {peers: ['*'], action: Allow}\n",
			`x.yaml:3: error: PeerPolicy default/A_b: metadata.name: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		},
		"a kind of ours that does not exist": {
			head + "kind: PeerPolcy\nmetadata: {name: a}\n",
			`x.yaml:2: error: kind: kind "PeerPolcy" is not known; did you mean PeerPolicy?`,
		},
		"a version of ours that does not exist": {
			"kind: PeerPolicy\napiVersion: federation.calfed.dev/v1\nmetadata: {name: a}\n",
			`x.yaml:2: error: apiVersion: version "v1" is not known: write federation.calfed.dev/v1alpha1`,
		},
		"a kind of others is passed over": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n",
			"x.yaml:1: warning: Deployment of apps/v1 is not read",
		},
		"no kind": {
			"a: 1\n",
			"x.yaml:1: error: no apiVersion and kind",
		},
		"no object": {
			"- a\n",
			"x.yaml:1: error: not an object: apiVersion, kind and metadata are expected",
		},
		"no YAML": {
			"a: [\nb\n---\n",
			"x.yaml:2: error: not YAML: did not find expected ',' or ']'; the rest of the file is not read",
		},
		"a Secret value that is no string": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  token: 12345\n",
			"x.yaml:5: error: Secret default/a: stringData[token]: must be a string: put it in quotes",
		},
		"a Secret value that is no base64, and not repeated": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  token: hunter2!\n",
			"x.yaml:5: error: Secret default/a: data[token]: must be base64; plain text belongs in stringData",
		},
		"a Namespace field that does not exist": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspek: {}\n",
			"x.yaml:4: error: Namespace a: spek: unknown field; did you mean spec?",
		},
		"a Namespace in a namespace": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n",
			"x.yaml:3: error: Namespace a: metadata.namespace: Forbidden: not allowed on this type",
		},
		"a Secret field that does not exist": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringdata: {a: b}\n",
			"x.yaml:4: error: Secret default/a: stringdata: unknown field; did you mean stringData?",
		},
		"Secret data that is no mapping": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [a]\n",
			"x.yaml:4: error: Secret default/a: data: must be a mapping of names to strings",
		},
		"a Secret type that is no string": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: 5\n",
			"x.yaml:4: error: Secret default/a: type: must be a string",
		},
		"a list item that is no object": {
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- 5\n",
			"x.yaml:7: error: items[1]: not an object",
		},
		"a complex field name": {
			"? [a, b]\n: c\n",
			"x.yaml:1: error: a field name must be a string",
		},
		"a number JSON does not have": {
			head + "kind: PeerPolicy\nmetadata: {name: a}\nspec: {peers: ['*'], action: Allow, inbound: {minRSABits: .inf}}\n",
			`x.yaml:4: error: ".inf" is no number in JSON`,
		},
		"a tag that is not YAML's": {
			"a: !vault secret\n",
			"x.yaml:1: error: unknown tag !vault",
		},
		"an anchor within itself": {
			"a: &a [*a]\n",
			`x.yaml:1: error: alias "a" stands inside its own anchor`,
		},
		"aliases that multiply": {
			"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
			"x.yaml:1: error: aliases repeat more than 10000 values",
		},
		"merging what is no mapping": {
			"a: &a 5\nb: {<<: *a}\n",
			"x.yaml:2: error: << merges mappings only",
		},
		"nesting without end": {
			"a: " + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "\n",
			"x.yaml:1: error: nested deeper than 100 levels",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := manifests.Parse(manifests.File{Name: "x.yaml", Data: []byte(tc.text)})
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func parse(t *testing.T, text string) *manifests.Set {
	t.Helper()
	set, problems := manifests.Parse(manifests.File{Name: "x.yaml", Data: []byte(text)})
	for _, p := range problems {
		t.Errorf("%v", p)
	}
	return set
}

func TestObjectsAreReadAsTheAPIServerWould(t *testing.T) {
	t.Parallel()
	set := parse(t, `# comments and empty documents do not count
---
---
apiVersion: v1
kind: List
items:
- apiVersion: federation.calfed.dev/v1alpha1
  kind: PeerPolicy
  metadata: &meta {name: in-list, creationTimestamp: "2026-01-02T03:04:05Z"}
  spec: &spec
    peers: [a.example]
    action: Allow
    inbound: {strict: yes, minRSABits: 1024} # kubectl takes yes for true
  status: {observedGeneration: 7, conditions: 5}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: roots}
  data: {ca.crt: text}
  binaryData: {bin: AAEC}
- apiVersion: federation.calfed.dev/v1alpha1
  kind: PeerPolicy
  metadata: {<<: *meta, name: merged, namespace: other}
  spec:
    <<: [{action: Deny, inbound: null}, *spec]
    peers: [b.example]
---
apiVersion: v1
kind: Secret
type: Opaque
metadata: {name: s}
data: {a: YQ==, b: Yg==}
stringData: {b: overrides, c: "5"}
`)
	if len(set.Policies) != 2 {
		t.Fatalf("%d policies", len(set.Policies))
	}
	p := set.Policies[0]
	if p.Namespace != "default" || p.Name != "in-list" || p.CreationTimestamp.UTC().Format("15:04:05") != "03:04:05" {
		t.Errorf("metadata %+v", p.ObjectMeta)
	}
	if !p.Spec.Inbound.Strict || *p.Spec.Inbound.MinRSABits != 1024 {
		t.Errorf("inbound %+v", p.Spec.Inbound)
	}
	if p.Status.ObservedGeneration != -1 || p.Status.Conditions != nil {
		t.Errorf("status %+v: it is the cluster's, and defaults to -1", p.Status)
	}
	merged := set.Policies[1]
	if merged.Namespace != "other" || merged.Name != "merged" || !merged.CreationTimestamp.Equal(&p.CreationTimestamp) {
		t.Errorf("merged metadata %+v", merged.ObjectMeta)
	}
	if s := merged.Spec; s.Action != "Deny" || len(s.Peers) != 1 || s.Peers[0] != "b.example" {
		t.Errorf("merged spec %+v: what stands there itself goes first, then the first merged", s)
	}
	s := set.Secrets[0]
	if diff := cmp.Diff(map[string][]byte{"a": []byte("a"), "b": []byte("overrides"), "c": []byte("5")}, s.Data); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
	m := set.ConfigMaps[0]
	if m.Data["ca.crt"] != "text" || string(m.BinaryData["bin"]) != "\x00\x01\x02" {
		t.Errorf("ConfigMap %+v", m)
	}
}

func TestNamespacesAreReadForTheirLabels(t *testing.T) {
	t.Parallel()
	set, problems := manifests.Parse(manifests.File{Name: "x.yaml", Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {tier: gold}}\n")})
	if len(problems) > 0 || len(set.Namespaces) != 1 || set.Namespaces[0].Name != "a" || set.Namespaces[0].Labels["tier"] != "gold" {
		t.Errorf("%+v, %v", set.Namespaces, problems)
	}
}
