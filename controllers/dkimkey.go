package controllers

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/rounds"
)

// How keys are led and looked at.
const (
	keyWorkers     = 4                // reconciles at the same time; none of them asks DNS
	keyLookWorkers = 8                // looks at the same time
	keyLookPeriod  = 15 * time.Minute // between looks at a key that is settled
	keyLookSoonest = 30 * time.Second // between looks at one that is under way
	keyLookUps     = 20               // a second, over all keys; 50 with those of domains (lookUps)
	keySoon        = time.Second      // until a write is looked for that no watch has told of
)

// +kubebuilder:rbac:groups=federation.calfed.dev,resources=dkimkeys,verbs=list;watch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=dkimkeys/status,verbs=patch
// +kubebuilder:rbac:groups=federation.calfed.dev,resources=federateddomains,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// dkimKeys leads generated keys through their life (keylife) and says in the status of each DKIMKey what became of it. A reconcile makes
// one write at most and asks nobody outside the cluster: looks at records go on beside it, and what they find has the key reconciled.
type dkimKeys struct {
	*deps
	client    client.Client // reads Secrets from the API server
	sightings sightings
	rounds    *rounds.Rounds
	pace      *rounds.Pace
	making    chan struct{} // one key is made at a time: large ones cost seconds of a core
	makers    sync.Map      // namespaces in which one is being made, or is next: the others of a namespace come again
	made      sync.Map      // DKIMKey to the name of the Secret made last, until the cache has it
}

func setupDKIMKey(mgr manager.Manager, d *deps) error {
	r := newDKIMKeys(d, mgr.GetClient())
	if err := mgr.Add(r.rounds); err != nil {
		return err
	}
	heard := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		again := func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) }
		d.board.Keys.OnChange(again)
		r.sightings.onChange(again)
		d.board.Domains.OnChange(func(domain types.NamespacedName) {
			var fd v1alpha1.FederatedDomain
			if r.client.Get(context.Background(), domain, &fd) != nil {
				return // gone, and its event tells the keys
			}
			for _, req := range keysOfDomain(context.Background(), &fd) {
				q.Add(req)
			}
		})
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("dkimkey").
		For(&v1alpha1.DKIMKey{}).
		Watches(&v1alpha1.FederatedDomain{}, handler.EnqueueRequestsFromMapFunc(keysOfDomain)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.importedFrom)).
		WatchesRawSource(source.Kind[client.Object](d.owned, &corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(keyOfSecret))).
		WatchesRawSource(heard).
		WithOptions(controller.Options{MaxConcurrentReconciles: keyWorkers}).
		Complete(r)
}

func newDKIMKeys(d *deps, c client.Client) *dkimKeys {
	r := &dkimKeys{deps: d, client: c, pace: rounds.NewPace(keyLookUps, d.Clock), making: make(chan struct{}, 1)}
	r.rounds = rounds.New(rounds.Config{
		Period: keyLookPeriod, Soonest: keyLookSoonest, Workers: keyLookWorkers, Clock: d.Clock, Look: r.look,
	})
	return r
}

// Reconcile takes one step of the key's life or, where there is none to take, writes the status.
func (r *dkimKeys) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var key v1alpha1.DKIMKey
	if err := r.client.Get(ctx, req.NamespacedName, &key); err != nil {
		if err = client.IgnoreNotFound(err); err == nil {
			r.forget(req.NamespacedName)
		}
		return reconcile.Result{}, err
	}
	if !key.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // its Secrets go with it
	}
	r.sightings.of(req.NamespacedName, key.UID)
	if key.Spec.Source.Generated == nil {
		return reconcile.Result{}, quiet(r.imported(ctx, &key))
	}
	f, secrets, err := r.facts(ctx, &key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if waits, err := r.awaitsMade(ctx, req.NamespacedName, secrets); waits || err != nil {
		return reconcile.Result{RequeueAfter: keySoon}, err
	}
	if wrote, err := r.adopt(ctx, &key, secrets); wrote || err != nil {
		return reconcile.Result{RequeueAfter: keySoon}, quiet(err)
	}
	conflict, err := r.conflict(ctx, &key)
	if err != nil {
		return reconcile.Result{}, err
	}
	step := keylife.Next(f)
	if step.Do != keylife.Nothing && (step.Do != keylife.Make || conflict == "") {
		err := r.do(ctx, &key, step, secrets)
		if step.Do == keylife.Make && apierrors.IsAlreadyExists(err) {
			err = r.exists(ctx, &key, step.Key.Secret)
		}
		return reconcile.Result{RequeueAfter: keySoon}, quiet(err)
	}
	r.plan(&key, step)
	want := r.generatedStatus(&key, f, step)
	if conflict != "" {
		r.stall(&key, &want, v1alpha1.ReasonConflict, conflict)
	}
	if _, posted, current := r.compiled(&key); posted && !current && conflict == "" {
		// of that status says nothing until the post comes, and has the key reconciled
	} else if err := r.writeKeyStatus(ctx, &key, want); err != nil {
		return reconcile.Result{}, quiet(err)
	}
	if conflict != "" {
		return reconcile.Result{RequeueAfter: keyLookPeriod}, nil
	}
	if step.Again.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(step.Again.Sub(f.Now), keySoon)}, nil
}

// plan has the records looked at that the step asks for.
func (r *dkimKeys) plan(key *v1alpha1.DKIMKey, step keylife.Step) {
	name := client.ObjectKeyFromObject(key)
	if keylife.Echo(key.Annotations[v1alpha1.AnnotationResetBackoff]) != key.Status.ResetBackoffRequestedAt {
		r.sightings.expire(name)
		r.rounds.Now(name)
	}
	urgent := false
	now := r.Clock.Now()
	for _, l := range step.Look {
		urgent = urgent || l.Urgent && !l.At.After(now)
	}
	r.rounds.Add(name, string(key.UID), !urgent)
	if urgent {
		r.rounds.Now(name)
	}
}

func (r *dkimKeys) forget(name types.NamespacedName) {
	r.rounds.Remove(name)
	r.sightings.forget(name)
	r.made.Delete(name)
}

func keysOfDomain(_ context.Context, o client.Object) []reconcile.Request {
	var out []reconcile.Request
	for _, name := range keysOf(o.(*v1alpha1.FederatedDomain)) {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}})
	}
	return out
}

func keyOfSecret(_ context.Context, s client.Object) []reconcile.Request {
	if s.GetLabels()[keylife.LabelOwned] != keylife.OwnedKey {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: s.GetNamespace(), Name: s.GetAnnotations()[keylife.AnnotationKeyName]}}}
}

// importedFrom are the DKIMKeys that take their key from a Secret.
func (r *dkimKeys) importedFrom(ctx context.Context, secret client.Object) []reconcile.Request {
	var list v1alpha1.DKIMKeyList
	if err := r.client.List(ctx, &list, client.InNamespace(secret.GetNamespace()), client.MatchingFields{fieldSecrets: secret.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil // the caches end
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
