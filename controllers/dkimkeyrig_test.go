package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/rounds"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// keyDNS is two authoritative servers for example.org, and the resolver that leads to them. Its tests take turns: the servers share
// addresses.
type keyDNS struct {
	servers   [2]*dnstest.Server
	authority *probe.Authority
	has       [2]map[string]string // selector to record
	more      string               // lines of both zones
}

const keyZone = `
example.org. 60 IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 600
example.org. 60 IN NS ns1.example.org.
example.org. 60 IN NS ns2.example.org.
`

func newKeyDNS(t *testing.T) *keyDNS {
	t.Helper()
	d := &keyDNS{}
	for {
		cache, err := dnstest.New(keyZone + "ns1.example.org. 60 IN A 127.0.0.2\nns2.example.org. 60 IN A 127.0.0.3\n")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cache.Close)
		port := netip.MustParseAddrPort(cache.Addr()).Port()
		first, err := dnstest.NewAt(fmt.Sprintf("127.0.0.2:%d", port), keyZone)
		if err != nil {
			continue // another test has the port there
		}
		t.Cleanup(first.Close)
		second, err := dnstest.NewAt(fmt.Sprintf("127.0.0.3:%d", port), keyZone)
		if err != nil {
			continue
		}
		t.Cleanup(second.Close)
		d.servers = [2]*dnstest.Server{first, second}
		client := resolver.New(resolver.Config{Server: cache.Addr()})
		guard := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Resolver: client})
		d.authority = probe.NewAuthority(probe.AuthorityConfig{DNS: client, Guard: guard, Port: port, Timeout: 5 * time.Second})
		return d
	}
}

func (d *keyDNS) publish(t *testing.T, server int, records map[string]string) {
	t.Helper()
	d.has[server] = records
	var zone strings.Builder
	zone.WriteString(keyZone + d.more)
	for _, selector := range slices.Sorted(maps.Keys(records)) {
		fmt.Fprintf(&zone, "%s._domainkey.example.org. 3600 IN TXT", selector)
		for text := range slices.Chunk([]byte(records[selector]), 255) {
			fmt.Fprintf(&zone, " %q", text)
		}
		zone.WriteByte('\n')
	}
	if err := d.servers[server].Replace(zone.String()); err != nil {
		t.Fatal(err)
	}
}

// atEach is the n for each.
const atEach = -1

// errDied is what the process dies of.
var errDied = errors.New("the process dies here")

// dyingClient dies after its n-th write; or at each, once before and once after it reached the API server.
type dyingClient struct {
	client.Client
	mu     sync.Mutex
	writes int
	diesAt int // 0 = never
}

func (c *dyingClient) write(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	if c.diesAt == atEach && c.writes%2 == 1 {
		return errDied
	}
	err := f()
	if err == nil && (c.diesAt == atEach || c.diesAt == c.writes) {
		return errDied
	}
	return err
}

func (c *dyingClient) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return c.write(func() error { return c.Client.Create(ctx, o, opts...) })
}

func (c *dyingClient) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	return c.write(func() error { return c.Client.Patch(ctx, o, p, opts...) })
}

func (c *dyingClient) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return c.write(func() error { return c.Client.Delete(ctx, o, opts...) })
}

func (c *dyingClient) Status() client.SubResourceWriter {
	return &dyingStatus{c.Client.Status(), c}
}

type dyingStatus struct {
	client.SubResourceWriter
	c *dyingClient
}

func (s *dyingStatus) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	return s.c.write(func() error { return s.SubResourceWriter.Apply(ctx, o, opts...) })
}

// keyRig drives the reconciler of DKIMKeys by hand, one Reconcile after the other, in a namespace of its own. The test compiles,
// publishes and lets time go by.
type keyRig struct {
	client.Client
	t      *testing.T
	ns     string
	deps   *deps
	clock  *testclock.FakeClock
	dns    *keyDNS
	dying  *dyingClient
	r      *dkimKeys
	prober *prober
	key    *v1alpha1.DKIMKey
	domain *v1alpha1.FederatedDomain

	blocking []string // pods that do not take a snapshot over
	slow     [2]bool  // servers that get no records
	tolerant bool     // records may be missing that were there
	signed   bool
	material map[string]string // selector to private key
}

// newKeyRig also has the manager run what setups add.
func newKeyRig(t *testing.T, spec v1alpha1.DKIMKeySpec, setups ...func(manager.Manager, *deps) error) *keyRig {
	t.Helper()
	c := kubetest.Shared(t)
	k := &keyRig{
		Client: c.Client, t: t, ns: c.Namespace(t), dns: newKeyDNS(t), material: map[string]string{},
		clock:  testclock.NewFakeClock(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)),
		prober: &prober{report: probe.Report{Word: probe.Healthy}},
	}
	opt := Options{Namespaces: []string{k.ns}, Clock: k.clock, Authority: k.dns.authority, Prober: k.prober}
	var objects cache.Cache
	byHand := func(mgr manager.Manager, d *deps) error {
		k.deps, objects, k.dying = d, mgr.GetCache(), &dyingClient{Client: mgr.GetClient()}
		if err := errors.Join(indexFields(t.Context(), mgr.GetFieldIndexer()), indexOwned(t.Context(), d.owned)); err != nil {
			return err
		}
		for _, o := range []client.Object{&v1alpha1.DKIMKey{}, &v1alpha1.FederatedDomain{}} {
			if _, err := objects.GetInformer(t.Context(), o); err != nil {
				return err
			}
		}
		return nil
	}
	startOperator(t, c.Config, opt, slices.Insert(setups, 0, byHand)...)
	if !objects.WaitForCacheSync(t.Context()) || !k.deps.owned.WaitForCacheSync(t.Context()) {
		t.Fatal("no caches")
	}
	k.restart()
	k.key = &v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "cal"}, Spec: spec}
	k.domain = &v1alpha1.FederatedDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "example"},
		Spec: v1alpha1.FederatedDomainSpec{
			Domain: "example.org", GatewayRef: v1alpha1.GatewayRef{Name: "edge"},
			Signing: &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "cal"}}, Lookup: []v1alpha1.KeyLookupMethod{v1alpha1.LookupDNS}},
			Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://cal.example.org/ischedule"}},
		},
	}
	for _, o := range []client.Object{k.key, k.domain} {
		if err := k.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// generatedSpec is a key that is made quickly and rotates each day.
func generatedSpec(change func(*v1alpha1.GeneratedKey)) v1alpha1.DKIMKeySpec {
	g := &v1alpha1.GeneratedKey{Algorithm: v1alpha1.AlgorithmEd25519, Rotation: &v1alpha1.KeyRotation{Interval: &metav1.Duration{Duration: 24 * time.Hour}}}
	if change != nil {
		change(g)
	}
	return v1alpha1.DKIMKeySpec{Domain: "example.org", Source: v1alpha1.KeySource{Type: v1alpha1.KeyGenerated, Generated: g}}
}

// restart is a new process: it knows what the cluster holds, and nothing else.
func (k *keyRig) restart() {
	k.r = newDKIMKeys(k.deps, k.dying)
	k.r.pace = rounds.NewPace(1e6, clock.RealClock{}) // the test's stands still
}

func (k *keyRig) name() types.NamespacedName { return client.ObjectKeyFromObject(k.key) }

// live are the keys as the API server has them.
func (k *keyRig) live() []keylife.Key {
	k.t.Helper()
	if err := k.Get(k.t.Context(), k.name(), k.key); err != nil {
		k.t.Fatal(err)
	}
	return keylife.Of(k.key, k.secrets())
}

func (k *keyRig) secrets() []corev1.Secret {
	k.t.Helper()
	var list corev1.SecretList
	if err := k.List(k.t.Context(), &list, client.InNamespace(k.ns), client.HasLabels{keylife.LabelOwned}); err != nil {
		k.t.Fatal(err)
	}
	return list.Items
}

// caughtUp waits until the caches have what the API server has.
func (k *keyRig) caughtUp() {
	k.t.Helper()
	versions := func(ctx context.Context, secrets client.Reader, others client.Reader) map[string]string {
		out := map[string]string{}
		var list corev1.SecretList
		var keys v1alpha1.DKIMKeyList
		var domains v1alpha1.FederatedDomainList
		if err := errors.Join(secrets.List(ctx, &list, client.InNamespace(k.ns), client.HasLabels{keylife.LabelOwned}),
			others.List(ctx, &keys, client.InNamespace(k.ns)), others.List(ctx, &domains, client.InNamespace(k.ns))); err != nil {
			k.t.Fatal(err)
		}
		for _, s := range list.Items {
			out["secret "+s.Name] = s.ResourceVersion
		}
		for _, o := range keys.Items {
			out["key "+o.Name] = o.ResourceVersion
		}
		for _, o := range domains.Items {
			out["domain "+o.Name] = o.ResourceVersion
		}
		return out
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 2*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return maps.Equal(versions(ctx, k.deps.owned, k.dying.Client), versions(ctx, k.Client, k.Client)), nil
	}); err != nil {
		k.t.Fatal("the caches do not catch up")
	}
}

// world compiles and publishes what the Secrets say, and holds the rules against it.
func (k *keyRig) world() {
	k.t.Helper()
	source := k.name().String()
	compiled := &snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Lookup: []string{"dns/txt"}}}
	records := map[string]string{}
	for _, key := range k.live() {
		out := snapshot.Key{Source: source, Domain: "example.org", Selector: key.Selector, State: snapshot.KeyStandby}
		switch {
		case !keylife.Outside(key.State):
			continue
		case key.State == v1alpha1.KeyRevoked:
			out.State, out.Record = snapshot.KeyRevoked, revokedRecord
		default:
			var err error
			if out.Record, err = recordOf(k.key, key); err != nil {
				k.t.Fatal(err)
			}
		}
		if keylife.Signs(key.State) {
			out.State = snapshot.KeyActive
			k.maySign(key)
		}
		if key.Private != nil && k.material[key.Selector] != "" && k.material[key.Selector] != string(key.Private) {
			k.t.Fatalf("selector %s has another key", key.Selector)
		}
		if key.Private != nil {
			k.material[key.Selector] = string(key.Private)
		}
		records[key.Selector] = out.Record
		compiled.Signing.Keys = append(compiled.Signing.Keys, out)
	}
	signers := 0
	for _, key := range compiled.Signing.Keys {
		if key.Signs() {
			signers++
		}
	}
	if signers > 1 || k.signed && signers == 0 {
		k.t.Fatalf("%d keys sign", signers)
	}
	k.signed = k.signed || signers == 1
	k.deps.board.Domains.Post(client.ObjectKeyFromObject(k.domain), board.Domain{
		Generation: k.domain.Generation, Gateway: types.NamespacedName{Namespace: k.ns, Name: "edge"}, Settings: &snapshot.Gateway{Host: "gw.example.org"},
		Compiled: compiled, Hash: "x", Written: true, Programmed: len(k.blocking) == 0, Blocking: k.blocking,
	})
	for i := range k.slow {
		if !k.slow[i] {
			k.dns.publish(k.t, i, records)
		}
	}
}

// maySign fails the test when a key signs of which some server has no record.
func (k *keyRig) maySign(key keylife.Key) {
	k.t.Helper()
	for i, has := range k.dns.has {
		if has[key.Selector] == "" && !k.tolerant {
			k.t.Fatalf("%s signs and server %d does not have it", key.Selector, i)
		}
	}
}

// step is one Reconcile, and what the others do after it. It returns when the key wants to be reconciled again.
func (k *keyRig) step() time.Duration {
	k.t.Helper()
	k.caughtUp()
	before := k.dying.writes
	result, err := k.r.Reconcile(k.t.Context(), reconcile.Request{NamespacedName: k.name()})
	if errors.Is(err, errDied) {
		k.restart()
		err = nil
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.world()
	if k.dying.writes > before {
		return 0
	}
	k.r.look(k.t.Context(), k.name())
	return result.RequeueAfter
}

// until goes on, and lets the time go by that the reconciler asks for, until something holds.
func (k *keyRig) until(what string, f func([]keylife.Key) bool) {
	k.t.Helper()
	for range 120 {
		wait := k.step()
		if f(k.live()) {
			return
		}
		k.clock.Step(wait)
	}
	k.t.Fatalf("%s: does not come; %v %+v %+v", what, states(k.live()), k.key.Status, k.r.sightings.get(k.name()))
}

// rest goes on until there is nothing to write at this time.
func (k *keyRig) rest() {
	k.t.Helper()
	for range 40 {
		before := k.dying.writes
		k.step()
		if k.dying.writes == before {
			before = k.dying.writes
			k.step() // what the look found
			if k.dying.writes == before {
				k.caughtUp()
				if err := k.Get(k.t.Context(), k.name(), k.key); err != nil {
					k.t.Fatal(err)
				}
				return
			}
		}
	}
	k.t.Fatal("it never comes to rest")
}

func states(keys []keylife.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, string(k.State))
	}
	return out
}

func inStates(want ...v1alpha1.KeyState) func([]keylife.Key) bool {
	return func(keys []keylife.Key) bool {
		return slices.EqualFunc(keys, want, func(k keylife.Key, s v1alpha1.KeyState) bool { return k.State == s && k.Written == s })
	}
}

func (k *keyRig) condition(kind string) metav1.Condition {
	k.t.Helper()
	if c := apimeta.FindStatusCondition(k.key.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// says fails the test unless a condition has the reason, and its message the parts.
func (k *keyRig) says(kind string, status metav1.ConditionStatus, reason string, parts ...string) {
	k.t.Helper()
	c := k.condition(kind)
	if c.Status != status || c.Reason != reason || slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(c.Message, p) }) {
		k.t.Errorf("%s: want %s %s %q, got %s %s %q", kind, status, reason, parts, c.Status, c.Reason, c.Message)
	}
}

// unused posts what compiling says of a key that no FederatedDomain names.
func (k *keyRig) unused() {
	k.t.Helper()
	k.post(compile.Finding{Severity: compile.Warning, Reason: v1alpha1.ReasonUnused})
}

// post posts what compiling says of the key as it is.
func (k *keyRig) post(findings ...compile.Finding) {
	k.t.Helper()
	k.live()
	k.deps.board.Keys.Post(k.name(), board.Key{UID: k.key.UID, Generation: k.key.Generation, Findings: findings})
}

func (k *keyRig) edit(change func()) {
	k.t.Helper()
	if err := k.Get(k.t.Context(), k.name(), k.key); err != nil {
		k.t.Fatal(err)
	}
	change()
	if err := k.Update(k.t.Context(), k.key); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keyRig) annotate(annotation, value string) {
	k.t.Helper()
	k.edit(func() { metav1.SetMetaDataAnnotation(&k.key.ObjectMeta, annotation, value) })
}

// event waits for an Event about the key.
func (k *keyRig) event(reason string, parts ...string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		var list eventsv1.EventList
		if err := k.List(ctx, &list, client.InNamespace(k.ns)); err != nil {
			return false, nil
		}
		return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Reason == reason && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(e.Note, p) })
		}), nil
	}); err != nil {
		k.t.Errorf("no Event %s %q", reason, parts)
	}
}

// sees waits until what the reconciler is told of a Secret is its newest version.
func (k *keyRig) sees(secret *corev1.Secret) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 2*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		got, err := k.deps.secrets.Secret(ctx, client.ObjectKeyFromObject(secret))
		return err == nil && got.ResourceVersion == secret.ResourceVersion, nil
	}); err != nil {
		k.t.Fatal("the cache does not catch up")
	}
}
