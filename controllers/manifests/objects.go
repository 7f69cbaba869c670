package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"

	"github.com/calfed/calfed/api/v1alpha1"
)

// reader is the state of one Parse.
type reader struct {
	set      *Set
	problems []Problem
}

func (r *reader) file(f File) {
	if len(f.Data) > MaxFileBytes {
		r.add(Problem{Severity: SeverityError, File: f.Name, Message: fmt.Sprintf("the file is larger than %d bytes", MaxFileBytes)})
		return
	}
	err := documents(jsonAsYAML(f.Data), func(root *yaml.Node) { r.document(f.Name, root) })
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		r.add(Problem{Severity: SeverityError, File: f.Name, Line: syntax.line, Message: syntax.message + "; the rest of the file is not read"})
	}
}

// add notes a problem as text of one line, whatever names the file holds.
func (r *reader) add(p Problem) {
	p.Object, p.Field, p.Message = visible(p.Object), visible(p.Field), visible(p.Message)
	r.problems = append(r.problems, p)
}

// visible replaces what a terminal would not show but obey.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return unicode.ReplacementChar
		}
		return c
	}, s)
}

// document reads the objects of one document: one, or the items of a list.
func (r *reader) document(file string, root *yaml.Node) {
	conv := &converter{open: map[*yaml.Node]bool{}}
	value := conv.convert(root, 0, false)
	for _, e := range conv.errs {
		r.add(Problem{Severity: SeverityError, File: file, Line: e.line, Message: e.message})
	}
	obj, ok := value.(map[string]any)
	if !ok && len(conv.errs) == 0 {
		r.add(Problem{Severity: SeverityError, File: file, Line: root.Line, Message: "not an object: apiVersion, kind and metadata are expected"})
	}
	if !ok || len(conv.errs) > 0 {
		return
	}
	r.object(file, root, obj, true)
}

// object reads one object, or the items of a list.
func (r *reader) object(file string, node *yaml.Node, obj map[string]any, listAllowed bool) {
	apiVersion, _ := obj["apiVersion"].(string)
	kind, _ := obj["kind"].(string)
	group, version, _ := strings.Cut(apiVersion, "/")
	own := group == v1alpha1.GroupVersion.Group
	if items, ok := obj["items"].([]any); ok && listAllowed && strings.HasSuffix(kind, "List") && (own || apiVersion == "v1") {
		nodes, _ := child(node, "items")
		for i, item := range items {
			itemNode, _ := child(nodes, fmt.Sprint(i))
			itemObj, ok := item.(map[string]any)
			if !ok {
				r.add(Problem{Severity: SeverityError, File: file, Line: itemNode.Line, Field: fmt.Sprintf("items[%d]", i), Message: "not an object"})
				continue
			}
			r.object(file, itemNode, itemObj, false)
		}
		return
	}
	here := Problem{Severity: SeverityError, File: file, Line: node.Line}
	switch {
	case apiVersion == "" || kind == "":
		here.Message = "no apiVersion and kind"
		r.add(here)
	case own && version != v1alpha1.GroupVersion.Version:
		here.Line, here.Field = lineOf(node, "apiVersion"), "apiVersion"
		here.Message = fmt.Sprintf("version %q is not known: write %s", version, v1alpha1.GroupVersion)
		r.add(here)
	case own:
		r.custom(file, node, obj, kind)
	case apiVersion == "v1" && kind == "Secret":
		r.secret(file, node, obj)
	case apiVersion == "v1" && kind == "ConfigMap":
		r.configMap(file, node, obj)
	case apiVersion == "v1" && kind == kindNamespace:
		r.namespace(file, node, obj)
	default:
		here.Severity = SeverityWarning
		here.Message = fmt.Sprintf("%s of %s is not read", kind, apiVersion)
		r.add(here)
	}
}

// place is an object being read.
type place struct {
	reader *reader
	origin origin
	key    Object
	failed bool
}

func (p *place) complain(fieldPath, format string, args ...any) {
	p.failed = true
	if fieldPath == "<nil>" { // how an empty field.Path prints
		fieldPath = ""
	}
	p.reader.add(Problem{
		Severity: SeverityError, File: p.origin.file, Line: lineOf(p.origin.node, fieldPath),
		Object: p.key.String(), Field: fieldPath, Message: fmt.Sprintf(format, args...),
	})
}

// begin reads the metadata.
func (r *reader) begin(file string, node *yaml.Node, obj map[string]any) (*place, *metav1.ObjectMeta) {
	kind, _ := obj["kind"].(string)
	p := &place{reader: r, origin: origin{file, node}, key: Object{Kind: kind, Namespace: metav1.NamespaceDefault}}
	raw, _ := obj["metadata"].(map[string]any)
	if name, ok := raw["name"].(string); ok {
		p.key.Name = name
	}
	if namespace, ok := raw["namespace"].(string); ok && namespace != "" {
		p.key.Namespace = namespace
	}
	if kind == kindNamespace {
		p.key.Namespace = ""
	}
	if raw == nil {
		p.complain("metadata", "is required, with a name")
		return p, nil
	}
	meta, _, unknown, err := objectmeta.GetObjectMetaWithOptions(obj, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			p.complain("metadata."+wrongType.Field, "must be of type %s, not %s", wrongType.Type, wrongType.Value)
		} else {
			p.complain("metadata", "%s", err)
		}
		return p, nil
	}
	for _, path := range unknown {
		p.unknownField(path, metadataFields)
	}
	if kind != kindNamespace {
		meta.Namespace = p.key.Namespace
	}
	for _, e := range apivalidation.ValidateObjectMeta(meta, kind != kindNamespace, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata")) {
		p.complain(e.Field, "%s", complaint(e))
	}
	return p, meta
}

var metadataFields = []string{"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "generateName"}

func (p *place) unknownField(path string, siblings []string) {
	meant := ""
	if all := steps(path); len(all) > 0 {
		meant = suggest(all[len(all)-1], siblings)
	}
	if meant == "" {
		p.complain(path, "unknown field")
		return
	}
	p.complain(path, "unknown field; did you mean %s?", meant)
}

// leaveOut notes that the object exists and is not in the set.
func (p *place) leaveOut() {
	if p.key.Name != "" {
		p.reader.set.LeftOut = append(p.reader.set.LeftOut, p.key)
	}
}

// keep notes the object; false when there is one of its name already.
func (p *place) keep() bool {
	if first, exists := p.reader.set.origins[p.key]; exists {
		p.complain("", "already defined in %s:%d", first.file, first.node.Line)
		return false
	}
	if p.failed {
		p.leaveOut()
		return false
	}
	p.reader.set.origins[p.key] = p.origin
	return true
}

// custom reads an object of our own kinds.
func (r *reader) custom(file string, node *yaml.Node, obj map[string]any, kind string) {
	ks, ok := schemas()[kind]
	if !ok {
		message := fmt.Sprintf("kind %q is not known", kind)
		if meant := suggest(kind, []string{v1alpha1.KindFederationGateway, v1alpha1.KindFederatedDomain, v1alpha1.KindDKIMKey, v1alpha1.KindPeerPolicy}); meant != "" {
			message += "; did you mean " + meant + "?"
		}
		r.add(Problem{Severity: SeverityError, File: file, Line: lineOf(node, "kind"), Field: "kind", Message: message})
		return
	}
	p, meta := r.begin(file, node, obj)
	if meta != nil {
		obj["metadata"].(map[string]any)["namespace"] = p.key.Namespace
	}
	delete(obj, "status") // the API server drops it on create, too
	for _, path := range ks.unknown(obj) {
		p.unknownField(path, ks.siblings(path))
	}
	for _, e := range ks.validate(obj) {
		if meta == nil && strings.HasPrefix(e.Field, "metadata") {
			continue // said already
		}
		p.complain(e.Field, "%s", complaint(e))
	}
	if !p.keep() {
		return
	}
	switch kind {
	case v1alpha1.KindFederationGateway:
		appendAs(p, &r.set.Gateways, obj)
	case v1alpha1.KindFederatedDomain:
		appendAs(p, &r.set.Domains, obj)
	case v1alpha1.KindDKIMKey:
		appendAs(p, &r.set.Keys, obj)
	case v1alpha1.KindPeerPolicy:
		appendAs(p, &r.set.Policies, obj)
	}
}

// appendAs decodes a validated object. That fails only where schema and Go type disagree, or for a date in metadata.
func appendAs[T any](p *place, list *[]T, obj map[string]any) {
	text, err := json.Marshal(obj)
	if err == nil {
		var typed T
		if err = json.Unmarshal(text, &typed); err == nil {
			*list = append(*list, typed)
			return
		}
	}
	delete(p.reader.set.origins, p.key)
	p.leaveOut()
	p.complain("", "cannot be decoded: %s", err)
}
