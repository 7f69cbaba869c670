package compile

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity of a finding.
type Severity string

// An Error leaves the object (or all of it that depends on the field) out of the snapshot; a Warning does not.
const (
	Error   Severity = "Error"
	Warning Severity = "Warning"
)

// Finding is one thing wrong with one object.
type Finding struct {
	Severity              Severity
	Kind, Namespace, Name string
	Field                 string // JSON path: spec.signing.keys[0].name
	Reason                string // a Reason… constant of v1alpha1
	Message               string // says what is wrong and what to do; deterministic, no secrets
}

func compareFindings(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Field, b.Field), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message),
	)
}

// report collects findings.
type report struct{ findings []Finding }

func (r *report) sorted() []Finding { return SortFindings(r.findings) }

// SortFindings sorts by object, then field, and drops repetitions: what two gateways say alike of one object counts
// once.
func SortFindings(findings []Finding) []Finding {
	slices.SortFunc(findings, compareFindings)
	return slices.Compact(findings)
}

// spot is a field of an object: what a finding is about.
type spot struct {
	report *report
	object meta
	field  string
	errors *int   // counts errors below, nil = nobody asks
	suffix string // what an error means for the object as a whole
}

func (r *report) at(object meta, field string) spot {
	return spot{report: r, object: object, field: field, errors: new(int)}
}

// to is the field below, "name" or "[3]".
func (s spot) to(field string) spot {
	if field[0] != '[' {
		field = "." + field
	}
	s.field += field
	return s
}

func (s spot) index(i int) spot { return s.to(fmt.Sprintf("[%d]", i)) }

// failed says whether an error was reported at s or at a spot derived from it.
func (s spot) failed() bool { return *s.errors > 0 }

// isolated is s with an error count of its own: what goes wrong there does not count at s.
func (s spot) isolated() spot {
	s.errors = new(int)
	return s
}

func (s spot) error(reason, format string, args ...any) {
	*s.errors++
	s.add(Error, reason, fmt.Sprintf(format, args...)+s.suffix)
}

func (s spot) warn(reason, format string, args ...any) {
	s.add(Warning, reason, fmt.Sprintf(format, args...))
}

func (s spot) add(severity Severity, reason, message string) {
	s.report.findings = append(s.report.findings, Finding{
		Severity: severity, Kind: s.object.kind, Namespace: s.object.namespace, Name: s.object.name,
		Field: s.field, Reason: reason, Message: message,
	})
}
