package controllers

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// errNoPod means that no gateway pod is ready.
var errNoPod = errors.New("no gateway pod is ready")

// askBackend has a ready pod of the gateway try the back end of a domain: the operator itself has no credentials for it, and
// may be kept from reaching it.
func (r *federatedDomains) askBackend(ctx context.Context, gateway types.NamespacedName, domain string) (snapshot.BackendReport, error) {
	var list corev1.PodList
	if err := r.client.List(ctx, &list, client.InNamespace(gateway.Namespace), client.MatchingLabels{labelInstance: gateway.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return snapshot.BackendReport{}, err
	}
	i := slices.IndexFunc(list.Items, isReady)
	if i < 0 {
		return snapshot.BackendReport{}, errNoPod
	}
	addr, err := netip.ParseAddr(list.Items[i].Status.PodIP)
	if err != nil {
		return snapshot.BackendReport{}, err
	}
	asker, err := r.backendAskers.client(ctx, gateway)
	if err != nil {
		return snapshot.BackendReport{}, err
	}
	return asker.Backend(ctx, addr, domain)
}

func isReady(p corev1.Pod) bool {
	return p.DeletionTimestamp.IsZero() && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// seeBackend asks a gateway pod whether it reaches the back end.
func (r *federatedDomains) seeBackend(ctx context.Context, p *plan, now *sight) bool {
	if !p.post.Programmed {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	report, err := r.backend(ctx, p.post.Gateway, p.post.Compiled.Name)
	c := condition(v1alpha1.ConditionBackendReachable, true, v1alpha1.ReasonReachable, backendReached)
	switch {
	case err != nil:
		c = metav1.Condition{Type: c.Type, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: backendUnasked}
	case !report.OK:
		c = condition(c.Type, false, v1alpha1.ReasonUnreachable, clip(report.Problem))
	}
	now.backend = &c
	return report.OK
}
