package controllers

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// gatewayRig is the reconciler of gateways at work in a namespace of its own; the test posts in place of the compiler.
type gatewayRig struct {
	client.Client
	ns     string
	board  *board.Board
	cache  client.Reader // what the reconciler sees
	clock  *clocktesting.FakeClock
	serial uint64 // of the last post of settled

	mu     sync.Mutex
	before func(request string) // is called before each request that writes; nil = nothing is
	wrote  []string             // requests of the reconciler that write
}

func newGatewayRig(t *testing.T, c *kubetest.Cluster) *gatewayRig {
	t.Helper()
	r := &gatewayRig{Client: c.Client, ns: c.Namespace(t), clock: clocktesting.NewFakeClock(time.Now())}
	r.start(t, c)
	return r
}

// start runs a manager with the reconciler alone; the function returned stops it.
func (r *gatewayRig) start(t *testing.T, c *kubetest.Cluster) (stop func()) {
	t.Helper()
	opt := Options{Namespaces: []string{r.ns}, Image: "registry.example.org/calfed:v1", Clock: r.clock, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	return startOperator(t, c.Config, opt, func(mgr manager.Manager, d *deps) error {
		if r.board != nil {
			d.board = r.board
		}
		r.board, r.cache = d.board, mgr.GetCache()
		return setupFederationGateway(counted{mgr, r.counting(t, mgr)}, d)
	}).stop
}

// counted is a manager whose client counts writes.
type counted struct {
	manager.Manager
	client client.Client
}

func (m counted) GetClient() client.Client { return m.client }

func (r *gatewayRig) counting(t *testing.T, mgr manager.Manager) client.Client {
	t.Helper()
	inner, ok := mgr.GetClient().(client.WithWatch)
	if !ok {
		watching, err := client.NewWithWatch(mgr.GetConfig(), client.Options{
			Scheme: mgr.GetScheme(), Cache: &client.CacheOptions{Reader: mgr.GetCache(), DisableFor: []client.Object{&corev1.Secret{}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		inner = watching
	}
	return interceptor.NewClient(inner, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			r.note("apply", o)
			return c.Apply(ctx, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			r.note("create", o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			r.note("update", o)
			return c.Update(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			r.note("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			r.note("apply "+sub, o)
			return c.SubResource(sub).Apply(ctx, o, opts...)
		},
	})
}

func (r *gatewayRig) note(verb string, o any) {
	text, _ := json.Marshal(o)
	var object metav1.PartialObjectMetadata
	_ = json.Unmarshal(text, &object)
	request := verb + " " + object.Kind + " " + object.Name
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.before(request)
	}
	r.wrote = append(r.wrote, request)
}

// writes returns what was written since the call before.
func (r *gatewayRig) writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.wrote
	r.wrote = nil
	return out
}

// gateway makes a gateway and posts that it compiles.
func (r *gatewayRig) gateway(t *testing.T, edit ...func(*v1alpha1.FederationGateway)) *v1alpha1.FederationGateway {
	t.Helper()
	gw := &v1alpha1.FederationGateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "edge"},
		Spec: v1alpha1.FederationGatewaySpec{
			Host: "calendar.example.org",
			TLS:  v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "edge-cert"}},
		},
	}
	for _, f := range edit {
		f(gw)
	}
	if err := r.Create(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	r.post(gw)
	return gw
}

// post says that a gateway compiles and that one pod serves it.
func (r *gatewayRig) post(gw *v1alpha1.FederationGateway, edit ...func(*board.Gateway)) {
	post := board.Gateway{
		Generation: gw.Generation, Settings: &snapshot.Gateway{DefaultAction: snapshot.Deny},
		IndexUID: "index", Serial: 7, Hash: "hash", Domains: 3, Pods: []board.Pod{{Name: "edge-1", Programmed: true}},
	}
	for _, f := range edit {
		f(&post)
	}
	r.board.Gateways.Post(client.ObjectKeyFromObject(gw), post)
}

// edit changes the spec and posts that the new one compiles.
func (r *gatewayRig) edit(t *testing.T, gw *v1alpha1.FederationGateway, f func(*v1alpha1.FederationGateway)) {
	t.Helper()
	r.eventually(t, "the gateway can be edited", func(ctx context.Context) bool {
		if err := r.Get(ctx, client.ObjectKeyFromObject(gw), gw); err != nil {
			return false
		}
		f(gw)
		return r.Update(ctx, gw) == nil
	})
	r.post(gw)
}

// touch has the gateway looked at again.
func (r *gatewayRig) touch(t *testing.T, gw *v1alpha1.FederationGateway, value string) {
	t.Helper()
	r.annotate(t, gw, "example.org/touched", value)
}

func (r *gatewayRig) annotate(t *testing.T, gw *v1alpha1.FederationGateway, annotation, value string) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+annotation+`":"`+value+`"}}}`))
	if err := r.Patch(t.Context(), gw, patch); err != nil {
		t.Fatal(err)
	}
}

func (r *gatewayRig) eventually(t *testing.T, what string, f func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) { return f(ctx), nil }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// becomes waits for a condition, and returns its message.
func (r *gatewayRig) becomes(t *testing.T, gw *v1alpha1.FederationGateway, kind string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	var c *metav1.Condition
	defer func() {
		if t.Failed() {
			t.Logf("%s is %+v; all: %+v", kind, c, gw.Status.Conditions)
		}
	}()
	r.eventually(t, kind+" is "+string(status)+" "+reason, func(ctx context.Context) bool {
		if err := r.Get(ctx, client.ObjectKeyFromObject(gw), gw); err != nil {
			return false
		}
		c = apimeta.FindStatusCondition(gw.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason && c.ObservedGeneration == gw.Generation
	})
	return c.Message
}

func (r *gatewayRig) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: r.ns, Name: "edge"}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// objects are the metadata of all that infra may make in the namespace, and of its Secrets, by kind and name.
func (r *gatewayRig) objects(t testing.TB) map[string]*metav1.PartialObjectMetadata {
	t.Helper()
	always, optional := infra.Kinds()
	out := map[string]*metav1.PartialObjectMetadata{}
	for _, kind := range append(slices.Concat(always, optional), corev1.SchemeGroupVersion.WithKind("Secret")) {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
		if err := r.List(t.Context(), list, client.InNamespace(r.ns)); err != nil {
			if apimeta.IsNoMatchError(err) {
				continue
			}
			t.Fatal(err)
		}
		for i := range list.Items {
			if name := list.Items[i].Name; strings.HasPrefix(name, "edge") {
				out[kind.Kind+" "+name] = &list.Items[i]
			}
		}
	}
	return out
}

// made are the names of the objects that are there.
func (r *gatewayRig) made(t testing.TB) []string {
	t.Helper()
	var out []string
	for name := range r.objects(t) {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func replicasOf(n int32) func(*v1alpha1.FederationGateway) {
	return func(gw *v1alpha1.FederationGateway) { gw.Spec.Replicas = &n }
}

func httpRoute(gw *v1alpha1.FederationGateway) {
	gw.Spec.Exposure = &v1alpha1.Exposure{HTTPRoute: &v1alpha1.HTTPRouteExposure{ParentRefs: []v1alpha1.ParentRef{{Name: "shared"}}}}
}
