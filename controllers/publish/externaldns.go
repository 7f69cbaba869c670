package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
)

// EndpointKind is the kind of object that external-dns reads records from (its source crd).
var EndpointKind = schema.GroupVersionKind{Group: "externaldns.k8s.io", Version: "v1alpha1", Kind: "DNSEndpoint"}

// ExternalDNS publishes by a DNSEndpoint with the name and in the namespace of the FederatedDomain, which owns it.
type ExternalDNS struct {
	Client     client.Client // reads and applies; no cache may lie behind its reads of DNSEndpoint
	FieldOwner string
	Owner      *v1alpha1.FederatedDomain
	Labels     map[string]string
}

var _ Publisher = (*ExternalDNS)(nil)

// endpoint is an entry of a DNSEndpoint.
type endpoint struct {
	DNSName    string   `json:"dnsName"`
	RecordType string   `json:"recordType"`
	RecordTTL  int64    `json:"recordTTL"`
	Targets    []string `json:"targets"`
}

// Publish implements Publisher. What stands in the zone is external-dns's to know: Foreign and Outside stay empty. Nothing is
// written when the object is as it should be.
func (e *ExternalDNS) Publish(ctx context.Context, want []records.Record, ours []v1alpha1.PublishedRecord) (Outcome, error) {
	out := Outcome{Ours: slices.Clone(ours)}
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(EndpointKind)
	err := e.Client.Get(ctx, client.ObjectKeyFromObject(e.Owner), current)
	exists := err == nil
	switch {
	case meta.IsNoMatchError(err) && len(want) == 0, apierrors.IsNotFound(err) && len(want) == 0:
		return Outcome{}, nil
	case meta.IsNoMatchError(err):
		return out, &Error{Reason: v1alpha1.ReasonPublisherNotFound, Message: "the cluster does not know DNSEndpoint (externaldns.k8s.io/v1alpha1): install the CustomResourceDefinition of external-dns, and let external-dns run with --source=crd"}
	case err != nil && !apierrors.IsNotFound(err):
		return out, fmt.Errorf("read DNSEndpoint %s: %w", e.Owner.Name, err)
	case exists && !metav1.IsControlledBy(current, e.Owner):
		if len(want) == 0 {
			return Outcome{}, nil
		}
		return out, &Error{Reason: v1alpha1.ReasonConflict, Message: fmt.Sprintf("DNSEndpoint %q is not this FederatedDomain's: delete it, or rename one of the two", e.Owner.Name)}
	case exists && len(want) == 0:
		if err := e.Client.Delete(ctx, current, client.Preconditions{UID: new(current.GetUID())}); client.IgnoreNotFound(err) != nil {
			return out, fmt.Errorf("delete DNSEndpoint %s: %w", e.Owner.Name, err)
		}
		return Outcome{Changed: true}, nil
	}
	entries, err := generic(endpoints(want))
	if err != nil {
		return out, err
	}
	got, _, _ := unstructured.NestedSlice(current.Object, "spec", "endpoints")
	changed := !exists || !equal(got, entries)
	if changed {
		if err := e.apply(ctx, entries); err != nil {
			return out, fmt.Errorf("apply DNSEndpoint %s: %w", e.Owner.Name, err)
		}
	}
	out = Outcome{Changed: changed}
	for _, s := range sets(want) {
		out.hold(change{set: s})
	}
	sortRecords(out.Ours)
	return out, nil
}

func (e *ExternalDNS) apply(ctx context.Context, entries []any) error {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"endpoints": entries}}}
	object.SetGroupVersionKind(EndpointKind)
	object.SetNamespace(e.Owner.Namespace)
	object.SetName(e.Owner.Name)
	object.SetLabels(e.Labels)
	object.SetOwnerReferences([]metav1.OwnerReference{v1alpha1.OwnedBy(v1alpha1.KindFederatedDomain, e.Owner)})
	return e.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(e.FieldOwner), client.ForceOwnership)
}

// endpoints writes records as external-dns reads them: names without the trailing dot; a TXT target as a zone file has it,
// strings of at most 255 octets in quotes, because most providers hand it on as it is; an SRV target whose host ends in a dot.
func endpoints(want []records.Record) []endpoint {
	var out []endpoint
	for _, s := range sets(want) {
		e := endpoint{DNSName: plain(s.name), RecordType: s.rrtype, RecordTTL: int64(s.rrs[0].Header().Ttl)}
		for _, rr := range s.rrs {
			target := strings.TrimPrefix(rr.String(), rr.Header().String())
			if _, ok := rr.(*dns.CNAME); ok {
				target = plain(target)
			}
			e.Targets = append(e.Targets, target)
		}
		out = append(out, e)
	}
	return out
}

// generic is v in the form of unstructured objects.
func generic(v any) ([]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out []any
	return out, json.Unmarshal(text, &out)
}

// equal compares by JSON: numbers come back from the API server in another type.
func equal(a, b []any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
