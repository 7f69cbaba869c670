package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/rounds"
	"github.com/calfed/calfed/gateway/snapshot"
)

// How domains are looked at from outside.
const (
	domainWorkers = 4                // reconciles at the same time; none of them asks DNS
	lookWorkers   = 64               // looks at the same time: most of them wait, for their turn or for a name server that is slow
	lookPeriod    = 15 * time.Minute // between looks at a domain that is as it should be
	lookSoonest   = 5 * time.Second  // until the second look at one that is not
	lookUps       = 30               // a second, over all domains; 50 with those of keys
)

// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federateddomains,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federateddomains/status,verbs=patch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=dkimkeys,verbs=list;watch
// +kubebuilder:rbac:groups=externaldns.k8s.io,resources=dnsendpoints,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// federatedDomains says in the status of each FederatedDomain what became of it. A reconcile asks nobody outside the cluster: what
// looks found is in sights, and a look that finds something new has the domain reconciled. That way tens of thousands of domains
// take over a new snapshot at once, however slow DNS is.
type federatedDomains struct {
	*deps
	client client.Client
	live   client.Reader // asks the API server
	sights sights
	rounds *rounds.Rounds
	pace   *rounds.Pace
	// backend is askBackend; a test has another.
	backend func(ctx context.Context, gateway types.NamespacedName, domain string) (snapshot.BackendReport, error)
}

func setupFederatedDomain(mgr manager.Manager, d *deps) error {
	_, err := newFederatedDomains(mgr, d)
	return err
}

func newFederatedDomains(mgr manager.Manager, d *deps) (*federatedDomains, error) {
	r := &federatedDomains{deps: d, client: mgr.GetClient(), live: mgr.GetAPIReader(), pace: rounds.NewPace(lookUps, d.Clock)}
	r.backend = r.askBackend
	r.rounds = rounds.New(rounds.Config{
		Period: lookPeriod, Soonest: lookSoonest, Workers: lookWorkers, Clock: d.Clock, Look: r.look,
	})
	if err := mgr.Add(r.rounds); err != nil {
		return nil, err
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.FederatedDomain{}, fieldPublished, publishedAt); err != nil {
		return nil, err
	}
	heard := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		again := func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) }
		d.board.Domains.OnChange(again)
		d.board.Gateways.OnChange(r.tellHeld(again))
		r.sights.onChange(again)
		return nil
	})
	return r, ctrl.NewControllerManagedBy(mgr).
		Named("federateddomain").
		For(&v1alpha1.FederatedDomain{}).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.publishWith)).
		WatchesRawSource(heard).
		WithOptions(controller.Options{MaxConcurrentReconciles: domainWorkers}).
		Complete(r)
}

// tellHeld has domains reconciled whose removal a gateway holds, or does no more.
func (r *federatedDomains) tellHeld(again func(types.NamespacedName)) func(types.NamespacedName) {
	var mu sync.Mutex
	held := map[types.NamespacedName][]string{}
	return func(gateway types.NamespacedName) {
		post, _ := r.board.Gateways.Get(gateway)
		mu.Lock()
		before := held[gateway]
		if held[gateway] = post.Held; len(post.Held) == 0 {
			delete(held, gateway)
		}
		mu.Unlock()
		if slices.Equal(before, post.Held) {
			return
		}
		for _, domain := range slices.Concat(before, post.Held) {
			var list v1alpha1.FederatedDomainList
			if r.client.List(context.Background(), &list, client.MatchingFields{fieldName: domain}, client.UnsafeDisableDeepCopy) != nil {
				return // the caches end
			}
			for i := range list.Items {
				again(client.ObjectKeyFromObject(&list.Items[i]))
			}
		}
	}
}

// Reconcile writes the status, and notes beforehand in it what is going to be published. Of a generation that was not compiled yet
// nothing is said: the post will come.
func (r *federatedDomains) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var d v1alpha1.FederatedDomain
	if err := r.client.Get(ctx, req.NamespacedName, &d); err != nil {
		if err = client.IgnoreNotFound(err); err == nil {
			r.rounds.Remove(req.NamespacedName)
			r.sights.forget(req.NamespacedName)
		}
		return reconcile.Result{}, err
	}
	if !d.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, quiet(r.leave(ctx, &d))
	}
	post, posted := r.board.Domains.Get(req.NamespacedName)
	if !posted || post.UID != d.UID || post.Generation != d.Generation {
		return reconcile.Result{}, nil
	}
	p, err := r.plan(ctx, &d, post)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.sign(ctx, &d, p); err != nil {
		return reconcile.Result{}, quiet(err)
	}
	seen, looked := r.sights.get(req.NamespacedName)
	if looked && seen.uid != d.UID {
		seen, looked = sight{}, false
	}
	want := r.status(&d, p, seen)
	if err := r.writeStatus(ctx, &d, want); err != nil {
		return reconcile.Result{}, quiet(client.IgnoreNotFound(err))
	}
	r.tell(&d, want)
	waiting := isSettled(&d, &d.Status)
	why := purpose{p.key, p.post.Programmed}
	needed := (seen.key != p.key && (looked || !isSettled(&d, &want)) || why.served && seen.awaits()) && r.sights.need(req.NamespacedName, why)
	if added := r.rounds.Add(req.NamespacedName, string(d.UID), waiting); needed && (waiting || !added) {
		r.rounds.Now(req.NamespacedName)
	}
	return reconcile.Result{RequeueAfter: p.recheck}, nil
}

// sign puts the finalizer on before anything is written to a name server, and takes it off when nothing is there any more.
func (r *federatedDomains) sign(ctx context.Context, d *v1alpha1.FederatedDomain, p *plan) error {
	needed := isUpdate(p.place) || isUpdate(d.Status.Published)
	if needed == controllerutil.ContainsFinalizer(d, finalizer) {
		return nil
	}
	before := d.DeepCopy()
	if needed {
		controllerutil.AddFinalizer(d, finalizer)
	} else {
		controllerutil.RemoveFinalizer(d, finalizer)
	}
	return r.client.Patch(ctx, d, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldOwner))
}

// quiet passes over a conflict: the object has changed since it was read, and is reconciled again because of that.
func quiet(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// publishWith are the domains that a Secret holds the TSIG key of: a new key may do what the old one did not.
func (r *federatedDomains) publishWith(ctx context.Context, secret client.Object) []reconcile.Request {
	var list v1alpha1.FederatedDomainList
	if err := r.client.List(ctx, &list, client.InNamespace(secret.GetNamespace()), client.MatchingFields{fieldSecrets: secret.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil // the next look comes anyway
	}
	for i := range list.Items {
		d := &list.Items[i]
		if d.Spec.Publish != nil && d.Spec.Publish.RFC2136 != nil && d.Spec.Publish.RFC2136.TSIG.SecretRef.Name == secret.GetName() && !publishedWell(&d.Status) {
			r.rounds.Now(client.ObjectKeyFromObject(d))
		}
	}
	return nil
}
