package publish_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/records"
)

// external is the publisher for a FederatedDomain of a namespace of its own.
func external(t *testing.T, c *kubetest.Cluster) *publish.ExternalDNS {
	t.Helper()
	d := &v1alpha1.FederatedDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace(t), Name: "org"},
		Spec: v1alpha1.FederatedDomainSpec{Domain: "example.org", GatewayRef: v1alpha1.GatewayRef{Name: "edge"},
			Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://cal.example.org/"}}},
	}
	if err := c.Client.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return &publish.ExternalDNS{Client: c.Client, FieldOwner: "calfed", Owner: d, Labels: map[string]string{"app.kubernetes.io/name": "calfed"}}
}

func endpointOf(t *testing.T, e *publish.ExternalDNS) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(publish.EndpointKind)
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(e.Owner), o); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestExternalDNSWritesAnObjectThatTheDomainOwns(t *testing.T) {
	t.Parallel()
	e := external(t, kubetest.Shared(t))
	alias := records.Record{Name: "cal2._domainkey.example.org.", Type: "CNAME", TTL: 300, Target: "elsewhere.example."}
	out := publishAll(t, e, []records.Record{service, key, alias}, nil)
	if !out.Changed || len(out.Ours) != 3 {
		t.Errorf("%+v", out)
	}
	o := endpointOf(t, e)
	got, _, err := unstructured.NestedSlice(o.Object, "spec", "endpoints")
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"dnsName": "_ischedules._tcp.example.org", "recordType": "SRV", "recordTTL": int64(3600), "targets": []any{"0 0 443 gw.example.org."}},
		map[string]any{"dnsName": "cal1._domainkey.example.org", "recordType": "TXT", "recordTTL": int64(3600), "targets": []any{`"` + key.Text[0] + `" "` + key.Text[1] + `"`}},
		map[string]any{"dnsName": "cal2._domainkey.example.org", "recordType": "CNAME", "recordTTL": int64(300), "targets": []any{"elsewhere.example"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !metav1.IsControlledBy(o, e.Owner) || o.GetLabels()["app.kubernetes.io/name"] != "calfed" {
		t.Errorf("owners %v, labels %v", o.GetOwnerReferences(), o.GetLabels())
	}

	version := o.GetResourceVersion()
	if again := publishAll(t, e, []records.Record{service, key, alias}, out.Ours); again.Changed {
		t.Error("changed where nothing had")
	}
	if endpointOf(t, e).GetResourceVersion() != version {
		t.Error("written where nothing had changed")
	}
	if err := unstructured.SetNestedSlice(o.Object, nil, "spec", "endpoints"); err != nil {
		t.Fatal(err)
	}
	if err := e.Client.Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if again := publishAll(t, e, []records.Record{service}, out.Ours); !again.Changed || len(again.Ours) != 1 {
		t.Errorf("%+v", again)
	}
	if left := publishAll(t, e, nil, out.Ours); len(left.Ours) > 0 || endpointOf(t, e) != nil {
		t.Errorf("left: %+v", left.Ours)
	}
	if left := publishAll(t, e, nil, out.Ours); len(left.Ours) > 0 {
		t.Errorf("left: %+v", left.Ours)
	}
}

func TestExternalDNSLeavesAnothersObject(t *testing.T) {
	t.Parallel()
	e := external(t, kubetest.Shared(t))
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	o.SetGroupVersionKind(publish.EndpointKind)
	o.SetNamespace(e.Owner.Namespace)
	o.SetName(e.Owner.Name)
	if err := e.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var failure *publish.Error
	if _, err := e.Publish(context.Background(), want, nil); !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonConflict {
		t.Errorf("%v", err)
	}
	if _, err := e.Publish(context.Background(), nil, nil); err != nil || endpointOf(t, e) == nil {
		t.Errorf("%v", err)
	}
}

func TestWithoutExternalDNSItIsSaid(t *testing.T) {
	t.Parallel()
	e := external(t, kubetest.New(t, kubetest.Options{}))
	var failure *publish.Error
	if _, err := e.Publish(context.Background(), want, nil); !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonPublisherNotFound {
		t.Errorf("%v", err)
	}
	if _, err := e.Publish(context.Background(), nil, nil); err != nil {
		t.Errorf("nothing to take back: %v", err)
	}
}
