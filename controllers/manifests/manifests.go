// Package manifests reads folders of YAML as the API server would: strict decoding, structural schemas and CEL rules of
// the CRDs, with file, line and field for every complaint. It is what standalone mode and lint stand on.
//
// It does not resolve references between objects, nor does it judge what an object means: that is controllers/compile.
package manifests

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Set is what one or more folders hold, of the kinds we know; other kinds are skipped with a Warning.
type Set struct {
	Gateways   []v1alpha1.FederationGateway
	Domains    []v1alpha1.FederatedDomain
	Keys       []v1alpha1.DKIMKey
	Policies   []v1alpha1.PeerPolicy
	Secrets    []corev1.Secret // stringData already merged into data
	ConfigMaps []corev1.ConfigMap
	Namespaces []corev1.Namespace
	LeftOut    []Object // those with an error, as far as they have a name
	origins    map[Object]origin
}

// Object names an object of any kind; Namespace is "" for kinds without.
type Object struct{ Kind, Namespace, Name string }

// Severities of a Problem.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Problem is one complaint about a file.
type Problem struct {
	Severity string // SeverityError or SeverityWarning
	File     string
	Line     int    // 0 when unknown
	Object   string // Kind namespace/name, "" when unknown
	Field    string // JSON path, "" when unknown
	Message  string
}

// String is "file:line: severity: Kind namespace/name: field: message", without what is unknown.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	s += ": " + p.Severity + ": "
	if p.Object != "" {
		s += p.Object + ": "
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	return s + p.Message
}

// File is one file of manifests, read already.
type File struct {
	Name string
	Data []byte
}

// Parse reads the objects of some files. Objects with an error are left out of the Set; of two with one name the first
// stays.
func Parse(files ...File) (*Set, []Problem) {
	r := &reader{set: &Set{origins: map[Object]origin{}}}
	for _, f := range files {
		r.file(f)
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
	})
	return r.set, r.problems
}

// Position finds the file and line of a field of an object ("spec.backend.type"), or of the nearest parent that exists;
// "" and 0 when the object is not in the set.
func (s *Set) Position(kind, namespace, name, field string) (file string, line int) {
	o, ok := s.origins[Object{kind, namespace, name}]
	if !ok {
		return "", 0
	}
	return o.file, lineOf(o.node, field)
}
