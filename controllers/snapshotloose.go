package controllers

import (
	"context"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
)

// loose posts about keys and policies that no domain uses: no gateway's compile comes across them.
type loose struct {
	r     *snapshots
	queue workqueue.TypedDelayingInterface[compile.Object]
}

func newLoose(r *snapshots) *loose {
	return &loose{r: r, queue: workqueue.NewTypedDelayingQueue[compile.Object]()}
}

// tell has an object looked at, soon.
func (l *loose) tell(kind string, name types.NamespacedName) {
	l.queue.AddAfter(compile.Object{Kind: kind, Namespace: name.Namespace, Name: name.Name}, quietTime)
}

// NeedLeaderElection says that only the leader posts.
func (l *loose) NeedLeaderElection() bool { return true }

// Start looks at all keys and policies, then at those it is told of, until the context ends.
func (l *loose) Start(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.queue.ShutDown)
	defer stop()
	if !l.r.cache.WaitForCacheSync(ctx) {
		return nil
	}
	var keys v1alpha1.DKIMKeyList
	l.r.list(ctx, &keys)
	for i := range keys.Items {
		l.tell(v1alpha1.KindDKIMKey, client.ObjectKeyFromObject(&keys.Items[i]))
	}
	var policies v1alpha1.PeerPolicyList
	l.r.list(ctx, &policies)
	for i := range policies.Items {
		l.tell(v1alpha1.KindPeerPolicy, client.ObjectKeyFromObject(&policies.Items[i]))
	}
	for {
		o, shutdown := l.queue.Get()
		if shutdown {
			return nil
		}
		l.look(ctx, o)
		l.queue.Done(o)
	}
}

func (l *loose) look(ctx context.Context, o compile.Object) {
	name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	if o.Kind == v1alpha1.KindPeerPolicy {
		l.policy(ctx, name)
	} else {
		l.key(ctx, name)
	}
}

func (l *loose) policy(ctx context.Context, name types.NamespacedName) {
	var p v1alpha1.PeerPolicy
	err := l.r.cache.Get(ctx, name, &p)
	if apierrors.IsNotFound(err) {
		l.r.board.Policies.Remove(name)
		return
	}
	if err != nil || l.r.views.known(v1alpha1.KindPeerPolicy, name) {
		return
	}
	for _, pattern := range patternsOf(&p) {
		if l.compiled(ctx, l.r.domains(ctx, client.InNamespace(p.Namespace), client.MatchingFields{fieldPatterns: pattern})) {
			return
		}
	}
	post := board.Policy{UID: p.UID, Generation: p.Generation, Findings: compile.Dangling(nil, compile.Input{Policies: []v1alpha1.PeerPolicy{p}}), Programmed: true}
	if was, ok := l.r.board.Policies.Get(name); !ok || !reflect.DeepEqual(was, post) {
		l.r.board.Policies.Post(name, post)
	}
}

func (l *loose) key(ctx context.Context, name types.NamespacedName) {
	var k v1alpha1.DKIMKey
	err := l.r.cache.Get(ctx, name, &k)
	if apierrors.IsNotFound(err) {
		l.r.board.Keys.Remove(name)
		return
	}
	if err != nil || l.r.views.known(v1alpha1.KindDKIMKey, name) {
		return
	}
	post := board.Key{UID: k.UID, Generation: k.Generation}
	users := l.r.domains(ctx, client.InNamespace(k.Namespace), client.MatchingFields{fieldKeys: k.Name})
	if l.compiled(ctx, users) {
		return
	}
	if len(users) == 0 {
		post.Findings = compile.Dangling(nil, compile.Input{Keys: []v1alpha1.DKIMKey{k}})
	}
	if was, ok := l.r.board.Keys.Get(name); !ok || !reflect.DeepEqual(was, post) {
		l.r.board.Keys.Post(name, post)
	}
}

// compiled says whether one of the domains has a gateway: compiling that will come across what the domain uses.
func (l *loose) compiled(ctx context.Context, domains []v1alpha1.FederatedDomain) bool {
	return slices.ContainsFunc(domains, func(d v1alpha1.FederatedDomain) bool {
		return l.r.cache.Get(ctx, gatewayOf(&d), &v1alpha1.FederationGateway{}) == nil
	})
}

func parseName(id string) types.NamespacedName {
	namespace, name, _ := strings.Cut(id, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func compareNames(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }
