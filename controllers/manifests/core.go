package manifests

import (
	"encoding/base64"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
)

var (
	secretFields    = []string{"apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"}
	configMapFields = []string{"apiVersion", "kind", "metadata", "immutable", "data", "binaryData"}
	namespaceFields = []string{"apiVersion", "kind", "metadata", "spec", "status"}
)

const kindNamespace = "Namespace"

// secret reads a v1 Secret. Its values never get into a message.
func (r *reader) secret(file string, node *yaml.Node, obj map[string]any) {
	p, meta := r.begin(file, node, obj)
	p.onlyFields(obj, secretFields)
	s := corev1.Secret{Data: p.binary(obj, "data")}
	s.APIVersion, s.Kind = "v1", "Secret"
	if t, ok := obj["type"].(string); ok {
		s.Type = corev1.SecretType(t)
	}
	for k, v := range p.strings(obj, "stringData") {
		s.Data[k] = []byte(v) // wins over data, as the API server has it
	}
	if !p.keep() {
		return
	}
	s.ObjectMeta = *meta
	r.set.Secrets = append(r.set.Secrets, s)
}

func (r *reader) configMap(file string, node *yaml.Node, obj map[string]any) {
	p, meta := r.begin(file, node, obj)
	p.onlyFields(obj, configMapFields)
	m := corev1.ConfigMap{Data: p.strings(obj, "data"), BinaryData: p.binary(obj, "binaryData")}
	m.APIVersion, m.Kind = "v1", "ConfigMap"
	if !p.keep() {
		return
	}
	m.ObjectMeta = *meta
	r.set.ConfigMaps = append(r.set.ConfigMaps, m)
}

// namespace reads a v1 Namespace: gateways choose by its labels whose domains they take.
func (r *reader) namespace(file string, node *yaml.Node, obj map[string]any) {
	p, meta := r.begin(file, node, obj)
	p.onlyFields(obj, namespaceFields)
	if !p.keep() {
		return
	}
	n := corev1.Namespace{ObjectMeta: *meta}
	n.APIVersion, n.Kind = "v1", kindNamespace
	r.set.Namespaces = append(r.set.Namespaces, n)
}

func (p *place) onlyFields(obj map[string]any, known []string) {
	for _, k := range slices.Sorted(maps.Keys(obj)) {
		if !slices.Contains(known, k) {
			p.unknownField(k, known)
		}
	}
	if t, set := obj["type"]; set {
		if _, ok := t.(string); !ok {
			p.complain("type", "must be a string")
		}
	}
}

// strings reads a map of strings.
func (p *place) strings(obj map[string]any, name string) map[string]string {
	out := map[string]string{}
	values, ok := obj[name].(map[string]any)
	if !ok && obj[name] != nil {
		p.complain(name, "must be a mapping of names to strings")
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		s, ok := values[k].(string)
		if !ok {
			p.complain(name+"["+k+"]", "must be a string: put it in quotes")
			continue
		}
		out[k] = s
	}
	return out
}

// binary reads a map of base64 strings.
func (p *place) binary(obj map[string]any, name string) map[string][]byte {
	out := map[string][]byte{}
	for k, s := range p.strings(obj, name) {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			p.complain(name+"["+k+"]", "must be base64; plain text belongs in stringData")
			continue
		}
		out[k] = b
	}
	return out
}
