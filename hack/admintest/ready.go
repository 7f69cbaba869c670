package admintest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// NotReady lists what of our kinds is not Ready in the namespaces, all of them where none is named, in words.
func (a *Admin) NotReady(ctx context.Context, namespaces ...string) []string {
	var out []string
	for _, kind := range []string{v1alpha1.KindFederationGateway, v1alpha1.KindFederatedDomain, v1alpha1.KindDKIMKey, v1alpha1.KindPeerPolicy} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := a.Client.List(ctx, list); err != nil {
			return []string{err.Error()}
		}
		for i := range list.Items {
			item := &list.Items[i]
			if len(namespaces) > 0 && !slices.Contains(namespaces, item.GetNamespace()) {
				continue
			}
			if conditions, ok := ready(item); !ok {
				out = append(out, fmt.Sprintf("%s %s/%s: %+v", kind, item.GetNamespace(), item.GetName(), conditions))
			}
		}
	}
	return out
}

// ready says whether an object of ours is Ready as it is now, and returns its conditions.
func ready(item *unstructured.Unstructured) ([]metav1.Condition, bool) {
	var object struct {
		Status struct {
			ObservedGeneration int64
			Conditions         []metav1.Condition
		}
	}
	raw, _ := json.Marshal(item.Object)
	_ = json.Unmarshal(raw, &object)
	return object.Status.Conditions, object.Status.ObservedGeneration == item.GetGeneration() &&
		meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady)
}

// Pods are the addresses of a gateway's pods that are ready.
func (a *Admin) Pods(ctx context.Context, namespace, gateway string) []string {
	var pods corev1.PodList
	_ = a.Client.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/instance": gateway})
	var out []string
	for _, p := range pods.Items {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				out = append(out, p.Status.PodIP)
			}
		}
	}
	return out
}
