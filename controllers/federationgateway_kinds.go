package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// lookForKinds is how often the API server is asked which kinds it has. Asking takes no right; watching definitions would take
// one for the whole cluster.
const lookForKinds = 30 * time.Second

// optionalKinds knows which kinds of neighbours the cluster has, and has them watched as long as it does. Safe for
// concurrent use.
type optionalKinds struct {
	gateways  *gateways
	discovery discovery.ServerResourcesInterfaceWithContext
	came      chan synced // those of kinds that are watched from now on

	mu        sync.Mutex
	queue     workqueue.TypedRateLimitingInterface[reconcile.Request] // nil: the controller has not started
	have      map[schema.GroupVersionKind]bool                        // nil: not asked yet
	informers map[schema.GroupVersionKind]cache.Informer
}

// synced says whether all objects of a kind were told of, or never will be.
type synced func() bool

// objectMapper knows the kinds of objects of gateways, whether the cluster has them or not: a cache asks it even to stop
// watching a kind that is gone.
func objectMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	always, optional := infra.Kinds()
	for _, kind := range slices.Concat(always, optional) {
		m.Add(kind, meta.RESTScopeNamespace)
	}
	return m
}

func newOptionalKinds(mgr manager.Manager, r *gateways) (*optionalKinds, error) {
	d, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	_, optional := infra.Kinds()
	k := &optionalKinds{gateways: r, discovery: d, came: make(chan synced, len(optional)), informers: map[schema.GroupVersionKind]cache.Informer{}}
	return k, mgr.Add(k)
}

// source has the controller look at gateways whose objects of these kinds change.
func (k *optionalKinds) source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.queue = q
		return nil
	})
}

// Start looks for kinds until ctx ends.
func (k *optionalKinds) Start(ctx context.Context) error {
	ticker := k.gateways.Clock.NewTicker(lookForKinds)
	defer ticker.Stop()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case told := <-k.came:
			waiting.Go(func() { k.lookOnce(ctx, told) })
		case <-ticker.C():
			if err := k.look(ctx); err != nil {
				k.gateways.Log.Warn("the API server does not say which kinds it has", "error", err)
			}
		}
	}
}

// present returns the kinds that there are. They must not be changed.
func (k *optionalKinds) present(ctx context.Context) (map[schema.GroupVersionKind]bool, error) {
	k.mu.Lock()
	have := k.have
	k.mu.Unlock()
	if have != nil {
		return have, nil
	}
	if err := k.look(ctx); err != nil {
		return nil, err
	}
	return k.present(ctx)
}

// cached says whether the cache can be asked for a kind without waiting: it cannot when there is no right to watch it, or the
// kind went a moment ago.
func (k *optionalKinds) cached(kind schema.GroupVersionKind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	informer := k.informers[kind]
	return informer != nil && informer.HasSynced()
}

// look asks, and on a change watches what came, drops what went and has all gateways looked at.
func (k *optionalKinds) look(ctx context.Context) error {
	now, err := k.ask(ctx)
	if err != nil {
		return err
	}
	changed, err := k.turnTo(ctx, now)
	if err != nil || !changed {
		return err
	}
	return k.lookAtAll(ctx)
}

// turnTo watches what came and drops what went, and says whether that is a change: the first time nothing is, all gateways are
// looked at anyway.
func (k *optionalKinds) turnTo(ctx context.Context, now map[schema.GroupVersionKind]bool) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.have != nil && maps.Equal(k.have, now) {
		return false, nil
	}
	for kind := range now {
		if k.informers[kind] == nil {
			if err := k.watch(ctx, kind); err != nil {
				return false, err
			}
		}
	}
	for kind := range k.informers {
		if !now[kind] {
			if err := k.gateways.objects.RemoveInformer(ctx, cached(kind)); err != nil {
				return false, err
			}
			delete(k.informers, kind)
		}
	}
	first := k.have == nil
	k.have = now
	return !first, nil
}

// lookAtAll has all gateways looked at.
func (k *optionalKinds) lookAtAll(ctx context.Context) error {
	var all v1alpha1.FederationGatewayList
	if err := k.gateways.client.List(ctx, &all); err != nil {
		return err
	}
	for i := range all.Items {
		k.lookAt(client.ObjectKeyFromObject(&all.Items[i]))
	}
	return nil
}

// lookAt has a gateway looked at. Those of before the start all are.
func (k *optionalKinds) lookAt(gateway types.NamespacedName) {
	k.mu.Lock()
	queue := k.queue
	k.mu.Unlock()
	if queue != nil {
		queue.Add(reconcile.Request{NamespacedName: gateway})
	}
}

// lookOnce has all gateways looked at when all objects of a kind were told of: of one that went before, nobody tells.
func (k *optionalKinds) lookOnce(ctx context.Context, told synced) {
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) { return told(), nil })
	if err == nil {
		err = k.lookAtAll(ctx)
	}
	if err != nil && ctx.Err() == nil {
		k.gateways.Log.Warn("gateways are not looked at again after a kind has come", "error", err)
	}
}

// watch does not wait for the objects, and has the handler told from the first of them on: one that is added once they are
// known misses what went meanwhile.
func (k *optionalKinds) watch(ctx context.Context, kind schema.GroupVersionKind) error {
	informer, err := k.gateways.objects.GetInformer(ctx, cached(kind), cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    k.changed,
		UpdateFunc: func(_, o any) { k.changed(o) },
		DeleteFunc: k.changed,
	})
	if err != nil {
		return err
	}
	k.informers[kind] = informer
	select {
	case k.came <- func() bool { return registration.HasSynced() || informer.IsStopped() }:
	default: // as many as there are kinds are waited for: each has all looked at
	}
	return nil
}

// changed has the gateway looked at that an object is of.
func (k *optionalKinds) changed(object any) {
	if gone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
		object = gone.Obj
	}
	o, ok := object.(metav1.Object)
	if !ok {
		return
	}
	owner := metav1.GetControllerOfNoCopy(o)
	if owner != nil && owner.Kind == v1alpha1.KindFederationGateway {
		k.lookAt(types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name})
	}
}

func (k *optionalKinds) ask(ctx context.Context) (map[schema.GroupVersionKind]bool, error) {
	_, optional := infra.Kinds()
	served := map[schema.GroupVersion]*metav1.APIResourceList{}
	out := map[schema.GroupVersionKind]bool{}
	for _, kind := range optional {
		gv := kind.GroupVersion()
		if _, asked := served[gv]; !asked {
			list, err := k.discovery.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, err
			}
			served[gv] = list
		}
		if served[gv] == nil {
			continue
		}
		for _, r := range served[gv].APIResources {
			if r.Kind == kind.Kind && slices.Contains(r.Verbs, "create") { // not while its definition is being deleted
				out[kind] = true
			}
		}
	}
	return out, nil
}
