package controllers

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
)

// dirtOf is what a change means for which gateways.
type dirtOf map[types.NamespacedName]*dirt

func (m dirtOf) gateway(name types.NamespacedName) *dirt {
	if m[name] == nil {
		m[name] = &dirt{}
	}
	return m[name]
}

func (m dirtOf) domain(d *v1alpha1.FederatedDomain) { m.gateway(gatewayOf(d)).shard(shardOf(d)) }

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// on makes a handler of a function that says what the change from one state of an object to another means; one of the two is
// nil when the object came or went. What is there at the start is not told: everything is compiled then.
func on[T client.Object](r *snapshots, means func(ctx context.Context, m dirtOf, from, to T)) handler.TypedEventHandler[T, reconcile.Request] {
	var none T
	tell := func(ctx context.Context, from, to T, q queue) {
		m := dirtOf{}
		means(ctx, m, from, to)
		for name, d := range m {
			r.of(name).marks.mark(*d)
			q.AddAfter(reconcile.Request{NamespacedName: name}, quietTime)
		}
	}
	return handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[T], q queue) {
			if !e.IsInInitialList {
				tell(ctx, none, e.Object, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[T], q queue) {
			if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				tell(ctx, e.ObjectOld, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[T], q queue) { tell(ctx, e.Object, none, q) },
	}
}

// starting queues the gateways of what is there at the start.
func starting[T client.Object](gateway func(T) types.NamespacedName) handler.TypedEventHandler[T, reconcile.Request] {
	return handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[T], q queue) {
			if e.IsInInitialList {
				q.AddAfter(reconcile.Request{NamespacedName: gateway(e.Object)}, quietTime)
			}
		},
	}
}

func (r *snapshots) gatewayChanged(_ context.Context, m dirtOf, from, to *v1alpha1.FederationGateway) {
	switch {
	case to == nil:
		m.gateway(client.ObjectKeyFromObject(from)).all = true
	case from == nil || from.UID != to.UID:
		m.gateway(client.ObjectKeyFromObject(to)).all = true
	case from.Generation != to.Generation || !maps.Equal(from.Annotations, to.Annotations) || from.DeletionTimestamp.IsZero() != to.DeletionTimestamp.IsZero():
		m.gateway(client.ObjectKeyFromObject(to)).settings = true
	}
}

func (r *snapshots) domainChanged(ctx context.Context, m dirtOf, from, to *v1alpha1.FederatedDomain) {
	if from != nil && to != nil && from.UID == to.UID && from.Generation == to.Generation && compile.Proof(from) == compile.Proof(to) &&
		from.DeletionTimestamp.IsZero() == to.DeletionTimestamp.IsZero() {
		return
	}
	for _, d := range []*v1alpha1.FederatedDomain{from, to} {
		if d == nil {
			continue
		}
		m.domain(d)
		// who else claims the name wins or loses it
		for _, rival := range r.domains(ctx, client.MatchingFields{fieldName: string(d.Spec.Domain)}) {
			m.domain(&rival)
		}
		// its keys and policies are used by one more or one less: no other shard says so
	}
}

func (r *snapshots) keyChanged(ctx context.Context, m dirtOf, from, to *v1alpha1.DKIMKey) {
	if from != nil && to != nil && from.UID == to.UID && from.Generation == to.Generation {
		return
	}
	for _, k := range []*v1alpha1.DKIMKey{from, to} {
		if k == nil {
			continue
		}
		r.keyUsers(ctx, m, k.Namespace, k.Name)
		// of two keys under one selector the older counts: another one may now be that
		var rivals v1alpha1.DKIMKeyList
		r.list(ctx, &rivals, client.InNamespace(k.Namespace), client.MatchingFields{fieldName: string(k.Spec.Domain)})
		for i := range rivals.Items {
			r.keyUsers(ctx, m, k.Namespace, rivals.Items[i].Name)
		}
		r.loose.tell(v1alpha1.KindDKIMKey, client.ObjectKeyFromObject(k))
	}
}

func (r *snapshots) keyUsers(ctx context.Context, m dirtOf, namespace, key string) {
	for _, d := range r.domains(ctx, client.InNamespace(namespace), client.MatchingFields{fieldKeys: key}) {
		m.domain(&d)
	}
}

func (r *snapshots) policyChanged(ctx context.Context, m dirtOf, from, to *v1alpha1.PeerPolicy) {
	if from != nil && to != nil && from.UID == to.UID && from.Generation == to.Generation {
		return
	}
	for _, p := range []*v1alpha1.PeerPolicy{from, to} {
		if p != nil {
			r.covered(ctx, m, p)
			r.loose.tell(v1alpha1.KindPeerPolicy, client.ObjectKeyFromObject(p))
		}
	}
}

func (r *snapshots) covered(ctx context.Context, m dirtOf, p *v1alpha1.PeerPolicy) {
	for _, pattern := range patternsOf(p) {
		for _, d := range r.domains(ctx, client.InNamespace(p.Namespace), client.MatchingFields{fieldPatterns: pattern}) {
			m.domain(&d)
		}
	}
}

// contentChanged handles Secrets (kind Secret) and ConfigMaps, of which there are only the metadata.
func (r *snapshots) contentChanged(kind string) func(context.Context, dirtOf, *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadata) {
	return func(ctx context.Context, m dirtOf, from, to *metav1.PartialObjectMetadata) {
		o := to
		if o == nil {
			o = from
		}
		labels := o.Labels
		if kind == secretKind && labels[keylife.LabelOwned] == ownedSnapshot {
			m.gateway(types.NamespacedName{Namespace: o.Namespace, Name: labels[labelInstance]}).secret(o.Name)
			return
		}
		r.referring(ctx, m, reference{kind, client.ObjectKeyFromObject(o)})
	}
}

// referring finds who refers to a Secret or ConfigMap, directly or by a key or policy.
func (r *snapshots) referring(ctx context.Context, m dirtOf, ref reference) {
	field := fieldSecrets
	if ref.kind == configMapKind {
		field = fieldConfigMaps
	}
	by := []client.ListOption{client.InNamespace(ref.Namespace), client.MatchingFields{field: ref.Name}}
	var gateways v1alpha1.FederationGatewayList
	r.list(ctx, &gateways, by...)
	for i := range gateways.Items {
		m.gateway(client.ObjectKeyFromObject(&gateways.Items[i])).settings = true
	}
	for _, d := range r.domains(ctx, by...) {
		m.domain(&d)
	}
	var policies v1alpha1.PeerPolicyList
	r.list(ctx, &policies, by...)
	for i := range policies.Items {
		r.covered(ctx, m, &policies.Items[i])
	}
	if ref.kind != secretKind {
		return
	}
	var keys v1alpha1.DKIMKeyList
	r.list(ctx, &keys, by...)
	for i := range keys.Items {
		r.keyUsers(ctx, m, ref.Namespace, keys.Items[i].Name)
	}
}

// ownedChanged handles the Secrets of generated keys.
func (r *snapshots) ownedChanged(ctx context.Context, m dirtOf, from, to *corev1.Secret) {
	if from != nil && to != nil && apiequality.Semantic.DeepEqual(from.Data, to.Data) && maps.Equal(from.Annotations, to.Annotations) {
		return
	}
	for _, s := range []*corev1.Secret{from, to} {
		if s != nil && s.Labels[keylife.LabelOwned] == keylife.OwnedKey {
			r.keyUsers(ctx, m, s.Namespace, s.Annotations[keylife.AnnotationKeyName])
		}
	}
}

func (r *snapshots) namespaceChanged(ctx context.Context, m dirtOf, from, to *metav1.PartialObjectMetadata) {
	if from == nil || to == nil || maps.Equal(from.Labels, to.Labels) {
		return // a namespace that comes or goes has no objects
	}
	for _, d := range r.domains(ctx, client.InNamespace(to.Name)) {
		if gatewayOf(&d).Namespace != to.Name {
			m.domain(&d)
		}
	}
}

// domains lists from the cache. They must not be changed.
func (r *snapshots) domains(ctx context.Context, opts ...client.ListOption) []v1alpha1.FederatedDomain {
	var list v1alpha1.FederatedDomainList
	r.list(ctx, &list, opts...)
	return list.Items
}

// list fills in a list from the cache. What is in it must not be changed.
func (r *snapshots) list(ctx context.Context, list client.ObjectList, opts ...client.ListOption) {
	if err := r.cache.List(ctx, list, slices.Concat(opts, []client.ListOption{client.UnsafeDisableDeepCopy})...); err != nil {
		r.Log.Error("a cache cannot be read", "error", err) // it is being stopped
	}
}
