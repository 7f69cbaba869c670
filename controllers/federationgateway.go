package controllers

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federationgateways,verbs=list;watch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federationgateways/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;update
// +kubebuilder:rbac:groups="",resources=serviceaccounts;services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes;backendtlspolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways,verbs=get
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=servicemonitors;prometheusrules,verbs=get;list;watch;create;patch

// gateways makes the pods of each FederationGateway and what they need, and says in its status what became of it. infra says
// which objects those are, the board what became of the configuration.
//
// Whoever makes a Role must have the rights in it: those to read Secrets are contents'.
type gateways struct {
	*deps
	client  client.Client
	live    client.Reader // asks the API server
	objects cache.Cache   // of what is made for gateways: all that carries our labels
	kinds   *optionalKinds
	applied *appliedObjects
}

const gatewayWorkers = 4

// How soon a gateway is looked at again that nothing may tell us more about.
const (
	retryForeign = time.Minute      // something else has the name of one of our objects
	lookAtPods   = 15 * time.Second // while too few answer
	reconcileMax = 2 * time.Minute
)

func setupFederationGateway(mgr manager.Manager, d *deps) error {
	options := cacheOptions(mgr.GetScheme(), d.Namespaces)
	options.HTTPClient, options.Mapper = mgr.GetHTTPClient(), objectMapper()
	options.ByObject = nil
	options.ReaderFailOnMissingInformer = true // a kind that went must not be waited for
	options.DefaultLabelSelector = labels.SelectorFromSet(labels.Set{labelManagedBy: "calfed", labelComponent: "gateway"})
	objects, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return err
	}
	if err := mgr.Add(objects); err != nil {
		return err
	}
	r := &gateways{deps: d, client: mgr.GetClient(), live: mgr.GetAPIReader(), objects: objects, applied: newAppliedObjects()}
	if r.kinds, err = newOptionalKinds(mgr, r); err != nil {
		return err
	}
	posts := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		d.board.Gateways.OnChange(func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) })
		return nil
	})
	asked := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("federationgateway").
		For(&v1alpha1.FederationGateway{}, builder.WithPredicates(asked)).
		WatchesRawSource(posts).
		WatchesRawSource(r.kinds.source()).
		WatchesRawSource(source.Kind[client.Object](d.owned, &corev1.Secret{}, r.ofOwner())).
		WithOptions(controller.Options{MaxConcurrentReconciles: gatewayWorkers, ReconciliationTimeout: reconcileMax}).
		Build(r)
	if err != nil {
		return err
	}
	always, _ := infra.Kinds()
	for _, kind := range always {
		if err := c.Watch(source.Kind(objects, cached(kind), r.ofOwner())); err != nil {
			return err
		}
	}
	return nil
}

// Reconcile makes the objects what they must be, and writes the status from what is there.
func (r *gateways) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var gw v1alpha1.FederationGateway
	if err := r.client.Get(ctx, req.NamespacedName, &gw); err != nil {
		if err = client.IgnoreNotFound(err); err == nil {
			r.applied.forget(req.NamespacedName)
		}
		return reconcile.Result{}, err
	}
	if !gw.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // the garbage collector takes what is ours
	}
	now := r.Clock.Now()
	r.applied.heed(req.NamespacedName, resetRequest(&gw)) // what else failed is tried at every look
	seen := &gatewaySeen{gateway: &gw}
	failed := errors.Join(
		r.keepStatusTLS(ctx, &gw, now, seen),
		r.keepObjects(ctx, &gw, now, seen),
		r.look(ctx, &gw, seen),
	)
	err := client.IgnoreNotFound(writeStatus(ctx, r.client, &gw, gw.Status, seen.status(now)))
	return reconcile.Result{RequeueAfter: seen.again}, errors.Join(failed, err)
}

// look reads what others made of our objects, and what was posted of the gateway.
func (r *gateways) look(ctx context.Context, gw *v1alpha1.FederationGateway, seen *gatewaySeen) error {
	if post, posted := r.board.Gateways.Get(client.ObjectKeyFromObject(gw)); posted && post.Generation == gw.Generation {
		seen.post = &post
	}
	var d appsv1.Deployment
	switch err := r.objects.Get(ctx, client.ObjectKeyFromObject(gw), &d); {
	case client.IgnoreNotFound(err) != nil:
		return err
	case err == nil && ownedBy(&d, gw):
		seen.deployment = &d
	}
	if !available(seen.deployment) && !paused(gw) {
		seen.lookAgain(lookAtPods)
		var pods corev1.PodList
		if err := r.client.List(ctx, &pods, client.InNamespace(gw.Namespace), client.MatchingLabels(infra.PodLabels(gw.Name))); err != nil {
			return err
		}
		seen.trouble = podTrouble(pods.Items)
	}
	addresses, err := r.addresses(ctx, gw)
	seen.addresses = addresses
	return err
}
