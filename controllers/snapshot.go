package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
)

// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federationgateways;federateddomains;dkimkeys;peerpolicies,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;update;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// snapshots compiles gateways, writes what pods serve and posts on the board what became of each object. One worker at a time
// is at a gateway.
type snapshots struct {
	*deps
	client  client.Client
	cache   cache.Cache
	views   views
	loose   *loose
	askers  *askers
	metrics *metrics
	pods    chan event.TypedGenericEvent[types.NamespacedName] // gateways whose pods have something new to take over

	mu       sync.Mutex
	gateways map[types.NamespacedName]*gatewayState
}

// gatewaysAtOnce are compiled at the same time, each on all cores.
const gatewaysAtOnce = 4

// Retries of what failed: soon, and then ever more rarely.
const (
	retryFirst = 500 * time.Millisecond
	retryLast  = time.Minute
)

// expiryEvery is how often the settings are compiled again though nothing changed: certificates expire.
const expiryEvery = time.Hour

func setupSnapshot(mgr manager.Manager, d *deps) error {
	if err := indexFields(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := indexOwned(context.Background(), d.owned); err != nil {
		return err
	}
	own, err := newMetrics(d.Metrics)
	if err != nil {
		return err
	}
	r := &snapshots{
		deps:     d,
		client:   mgr.GetClient(),
		cache:    mgr.GetCache(),
		gateways: map[types.NamespacedName]*gatewayState{},
		pods:     make(chan event.TypedGenericEvent[types.NamespacedName], 64),
		askers:   newAskers(d),
		metrics:  own,
	}
	r.loose = newLoose(r)
	if err := mgr.Add(r.loose); err != nil {
		return err
	}
	c, err := controller.New("snapshot", mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: gatewaysAtOnce,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryLast),
	})
	if err != nil {
		return err
	}
	for _, s := range r.sources() {
		if err := c.Watch(s); err != nil {
			return err
		}
	}
	return setupSnapshotPods(mgr, r)
}

// sources are all objects whose changes mean something.
func (r *snapshots) sources() []source.Source {
	out := []source.Source{
		source.Kind(r.cache, &v1alpha1.FederationGateway{}, on(r, r.gatewayChanged)),
		source.Kind(r.cache, &v1alpha1.FederationGateway{}, starting(func(g *v1alpha1.FederationGateway) types.NamespacedName { return client.ObjectKeyFromObject(g) })),
		source.Kind(r.cache, &v1alpha1.FederatedDomain{}, on(r, r.domainChanged)),
		source.Kind(r.cache, &v1alpha1.FederatedDomain{}, starting(gatewayOf)),
		source.Kind(r.cache, &v1alpha1.DKIMKey{}, on(r, r.keyChanged)),
		source.Kind(r.cache, &v1alpha1.PeerPolicy{}, on(r, r.policyChanged)),
		source.Kind(r.cache, metadata(secretKind), on(r, r.contentChanged(secretKind))),
		source.Kind(r.cache, metadata(configMapKind), on(r, r.contentChanged(configMapKind))),
		source.Kind(r.owned, &corev1.Secret{}, on(r, r.ownedChanged)),
	}
	if len(r.Namespaces) == 0 {
		out = append(out, source.Kind(r.cache, metadata("Namespace"), on(r, r.namespaceChanged)))
	}
	return out
}

func metadata(kind string) *metav1.PartialObjectMetadata {
	o := new(metav1.PartialObjectMetadata)
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return o
}

// of returns the state of a gateway.
func (r *snapshots) of(name types.NamespacedName) *gatewayState {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.gateways[name]
	if st == nil {
		st = newGatewayState(name)
		r.gateways[name] = st
	}
	return st
}

func (r *snapshots) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gateways, name)
}

// Reconcile brings the snapshot of a gateway to what the objects say.
func (r *snapshots) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	st := r.of(req.NamespacedName)
	d, wait := st.marks.take()
	if wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	var gw v1alpha1.FederationGateway
	err := r.cache.Get(ctx, req.NamespacedName, &gw)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, r.gone(ctx, st)
	case err != nil:
		st.marks.mark(d)
		return reconcile.Result{}, err
	}
	if d.empty() {
		d.settings = true // an hour has passed, or something failed before
	}
	st.work.Lock()
	defer st.work.Unlock()
	err = r.bring(ctx, st, &gw, d)
	if sweepErr := r.secrets.sweep(ctx, time.Now()); err == nil && sweepErr != nil {
		r.Log.Error("contents of Secrets cannot be swept", "error", sweepErr)
	}
	switch {
	case errors.Is(err, errNotLeading):
		r.Log.Warn("another operator leads; nothing is written", "gateway", req.String())
		st.marks.mark(d)
		return reconcile.Result{RequeueAfter: leadingAgain}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{}, nil // all of it goes
	case err != nil:
		st.marks.mark(d)
		return reconcile.Result{}, fmt.Errorf("snapshot of %s: %w", req, err)
	}
	return reconcile.Result{RequeueAfter: expiryEvery}, nil
}

// bring compiles what is dirty, writes what changed, and posts both.
func (r *snapshots) bring(ctx context.Context, st *gatewayState, gw *v1alpha1.FederationGateway, d dirt) error {
	if st.uid != gw.UID {
		st.restart(gw.UID)
	}
	if st.stored == nil {
		stored, err := readStored(ctx, r.client, st.name)
		if err != nil {
			return r.stuck(st, err)
		}
		st.adopt(stored)
		d.all = true
	}
	if err := r.recheck(ctx, st, d.stored); err != nil {
		return r.stuck(st, err)
	}
	if err := r.compile(ctx, st, gw, d); err != nil {
		return r.stuck(st, err)
	}
	err := r.write(ctx, st, gw)
	r.post(ctx, st)
	r.tellPods(ctx, st.name)
	return err
}

// stuck posts why nothing can be compiled or written, where that is for people to mend.
func (r *snapshots) stuck(st *gatewayState, err error) error {
	if problem := explain(err); problem != "" {
		st.problem = problem
		r.postGateway(st)
	}
	return err
}

// tellPods has the pods asked.
func (r *snapshots) tellPods(ctx context.Context, name types.NamespacedName) {
	select {
	case r.pods <- event.TypedGenericEvent[types.NamespacedName]{Object: name}:
	case <-ctx.Done():
	}
}
