package controllers

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	server "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The longest a change may take to reach the cluster (issue 4: under 2 s to the pods), and what a test waits for other things.
const (
	changeTime = 2 * time.Second
	patience   = time.Minute
)

// world is a namespace with the resources of a gateway, named edge.
type world struct {
	client.Client
	t       testing.TB
	cluster *kubetest.Cluster
	ns      string
	ca      *catest.CA
	newest  []byte // the newest certificate
}

func newWorld(t testing.TB, c *kubetest.Cluster) *world {
	t.Helper()
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Client: c.Client, t: t, cluster: c, ns: c.Namespace(t), ca: ca}
	w.make(w.certificate(), &v1alpha1.FederationGateway{
		ObjectMeta: w.meta("edge"),
		Spec: v1alpha1.FederationGatewaySpec{
			Host: "edge.example",
			TLS:  v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "edge-tls"}},
		},
	})
	return w
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.ns, Name: name}
}

// certificate is a new one for the gateway.
func (w *world) certificate() *corev1.Secret {
	w.t.Helper()
	leaf, err := w.ca.Issue(catest.Leaf{DNS: []string{"edge.example"}})
	if err != nil {
		w.t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		w.t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: w.meta("edge-tls"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": cert, "tls.key": key}}
}

func (w *world) make(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

// domain makes a FederatedDomain with an imported key and its Secret, all named after it.
func (w *world) domain(domain string) *v1alpha1.FederatedDomain {
	w.t.Helper()
	name := strings.ReplaceAll(domain, ".", "-")
	d := w.plainDomain(domain)
	d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: name}}}
	key := &v1alpha1.DKIMKey{ObjectMeta: w.meta(name), Spec: v1alpha1.DKIMKeySpec{
		Domain: v1alpha1.DomainName(domain),
		Source: v1alpha1.KeySource{Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{
			Selector: "cal", SecretRef: v1alpha1.SecretKeyRef{Name: name, Key: "private.key"},
		}},
	}}
	secret := &corev1.Secret{ObjectMeta: w.meta(name), Data: map[string][]byte{"private.key": privateKey(w.t)}}
	w.make(secret, key, d)
	return d
}

// plainDomain is a FederatedDomain that only receives.
func (w *world) plainDomain(domain string) *v1alpha1.FederatedDomain {
	return &v1alpha1.FederatedDomain{
		ObjectMeta: w.meta(strings.ReplaceAll(domain, ".", "-")),
		Spec: v1alpha1.FederatedDomainSpec{
			Domain: v1alpha1.DomainName(domain), GatewayRef: v1alpha1.GatewayRef{Name: "edge"},
			Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://calendar.example.org/ischedule"}},
		},
	}
}

func privateKey(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// operator is a manager with the snapshot reconciler alone; the rest of the operator has tests of its own.
type operator struct {
	board *board.Board
	stop  func()
}

func (w *world) operator(opt Options) *operator {
	w.t.Helper()
	if opt.Namespaces == nil {
		opt.Namespaces = []string{w.ns}
	}
	return startOperator(w.t, w.cluster.Config, opt, setupSnapshot)
}

// startOperator runs a manager with some of the reconcilers until the end of the test, or until it is stopped.
func startOperator(t testing.TB, cfg *rest.Config, opt Options, setups ...func(manager.Manager, *deps) error) *operator {
	t.Helper()
	mo, err := ManagerOptions(opt)
	if err != nil {
		t.Fatal(err)
	}
	mo.Metrics = server.Options{BindAddress: "0"}
	mo.Controller.SkipNameValidation = ptr.To(true)
	mgr, err := ctrl.NewManager(cfg, mo)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDeps(mgr, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, setup := range setups {
		if err := setup(mgr, d); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	o := &operator{board: d.board}
	o.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(o.stop)
	return o
}

// eventually waits until ok returns "", which otherwise says what is wrong.
func eventually(t testing.TB, within time.Duration, ok func(ctx context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	wrong := ""
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if w := ok(ctx); ctx.Err() == nil {
			wrong = w
		}
		return wrong == "", nil
	})
	if err != nil {
		t.Fatalf("after %s: %s", within, wrong)
	}
}

// parts are the Secrets of the gateway's snapshot, by name.
func (w *world) parts(ctx context.Context) map[string]corev1.Secret {
	var list corev1.SecretList
	err := w.List(ctx, &list, client.InNamespace(w.ns), client.MatchingLabels{keylife.LabelOwned: ownedSnapshot})
	if err != nil && ctx.Err() == nil {
		w.t.Fatal(err)
	}
	out := map[string]corev1.Secret{}
	for _, s := range list.Items {
		out[s.Name] = s
	}
	return out
}

// served is the snapshot that a gateway pod would serve; nil when there is none yet.
func (w *world) served(ctx context.Context) (*snapshot.Snapshot, *snapshot.Index) {
	parts := w.parts(ctx)
	index, ok := parts[snapshot.IndexName("edge")]
	if !ok {
		return nil, nil
	}
	x, err := snapshot.DecodeIndex(index.Data[snapshot.IndexKey])
	if err != nil {
		w.t.Fatal(err)
	}
	var shards []*snapshot.Shard
	for _, ref := range x.Shards {
		secret := parts[snapshot.ShardName("edge", ref.Number)]
		sh, err := snapshot.DecodeShard(secret.Data[snapshot.ShardKey])
		if err != nil {
			return nil, nil // deleted a moment ago
		}
		shards = append(shards, sh)
	}
	s, err := snapshot.Assemble(x, shards)
	if err != nil {
		return nil, nil // between two lists
	}
	if _, err := snapshot.Activate(s); err != nil {
		w.t.Fatalf("a gateway would refuse the snapshot: %v", err)
	}
	return s, x
}

// waitServed waits until the snapshot is as ok says.
func (w *world) waitServed(within time.Duration, ok func(s *snapshot.Snapshot) string) *snapshot.Index {
	w.t.Helper()
	var x *snapshot.Index
	eventually(w.t, within, func(ctx context.Context) string {
		var s *snapshot.Snapshot
		if s, x = w.served(ctx); s == nil {
			return "no snapshot"
		}
		return ok(s)
	})
	return x
}

// serves waits until these domains are served and no other.
func (w *world) serves(within time.Duration, domains ...string) *snapshot.Index {
	w.t.Helper()
	slices.Sort(domains)
	return w.waitServed(within, func(s *snapshot.Snapshot) string {
		var got []string
		for i := range s.Domains {
			got = append(got, s.Domains[i].Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, domains) {
			return fmt.Sprintf("served: %d domains %v", len(got), got[:min(len(got), 10)])
		}
		return ""
	})
}

// versions are the resourceVersions of the snapshot's Secrets.
func (w *world) versions() map[string]string {
	out := map[string]string{}
	for name, s := range w.parts(w.t.Context()) {
		out[name] = s.ResourceVersion
	}
	return out
}

// edit changes an object, again when somebody else did meanwhile.
func edit[T client.Object](w *world, o T, change func(T)) {
	w.t.Helper()
	for {
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			w.t.Fatal(err)
		}
		change(o)
		err := w.Update(w.t.Context(), o)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			w.t.Fatal(err)
		}
	}
}

// gateway waits until what is posted of the gateway is as ok says.
func (w *world) gateway(o *operator, within time.Duration, ok func(board.Gateway) string) board.Gateway {
	w.t.Helper()
	var post board.Gateway
	eventually(w.t, within, func(context.Context) string {
		var posted bool
		if post, posted = o.board.Gateways.Get(types.NamespacedName{Namespace: w.ns, Name: "edge"}); !posted {
			return "nothing is posted of the gateway"
		}
		return ok(post)
	})
	return post
}

func (w *world) domainPost(o *operator, name string, within time.Duration, ok func(board.Domain) string) board.Domain {
	w.t.Helper()
	var post board.Domain
	eventually(w.t, within, func(context.Context) string {
		var posted bool
		if post, posted = o.board.Domains.Get(types.NamespacedName{Namespace: w.ns, Name: name}); !posted {
			return "nothing is posted of FederatedDomain " + name
		}
		return ok(post)
	})
	return post
}

func findingsOf(post board.Domain) string {
	var texts []string
	for _, f := range post.Findings {
		texts = append(texts, cmp.Or(f.Field, "-")+" "+f.Reason+": "+f.Message)
	}
	return strings.Join(texts, "\n")
}
