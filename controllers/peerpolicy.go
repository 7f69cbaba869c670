package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
)

// policyWorkers write the status of that many policies at once: a wide change concerns thousands.
const policyWorkers = 4

// +kubebuilder:rbac:groups=federation.calfed.dev,resources=peerpolicies,verbs=list;watch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=peerpolicies/status,verbs=patch

// peerPolicies says in the status of each PeerPolicy what became of it. It decides nothing.
type peerPolicies struct {
	*deps
	client client.Client
}

func setupPeerPolicy(mgr manager.Manager, d *deps) error {
	posts := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		d.board.Policies.OnChange(func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) })
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("peerpolicy").
		For(&v1alpha1.PeerPolicy{}).
		WatchesRawSource(posts).
		WithOptions(controller.Options{MaxConcurrentReconciles: policyWorkers}).
		Complete(&peerPolicies{deps: d, client: mgr.GetClient()})
}

// Reconcile translates what was posted of a policy. Of a generation that was not compiled yet nothing is said: the post will come.
func (r *peerPolicies) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var p v1alpha1.PeerPolicy
	if err := r.client.Get(ctx, req.NamespacedName, &p); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	post, posted := r.board.Policies.Get(req.NamespacedName)
	if !posted || post.UID != p.UID || post.Generation != p.Generation {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(writeStatus(ctx, r.client, &p, p.Status, policyStatus(&p, post, r.Clock.Now())))
}
