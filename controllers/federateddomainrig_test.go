package controllers

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The name server of the rig.
const (
	tsigName   = "calfed"
	tsigSecret = "c2VjcmV0IG9mIHRoZSBuYW1lIHNlcnZlciBhbG9uZSE="
	rigZone    = `
example.org. IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 60
example.org. IN NS ns1.example.org.
dns.operator.example. IN SOA ns1.operator.example. admin.operator.example. 1 7200 900 86400 60
`
	serviceName = "_ischedules._tcp.example.org."
	keyRecord   = "v=DKIM1; k=ed25519; p=QUFBQQ=="
)

// authority asks the servers of the rig, whatever the name.
type authority struct {
	mu      sync.Mutex
	servers []string
	count   int
}

func (a *authority) Lookup(ctx context.Context, name, rrtype string) (*probe.Answers, error) {
	a.mu.Lock()
	a.count++
	servers := slices.Clone(a.servers)
	a.mu.Unlock()
	out := &probe.Answers{}
	for i, server := range servers {
		one := probe.ServerAnswer{Server: "ns" + string(rune('1'+i)) + ".example.org."}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		answer, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.StringToType[rrtype]), server)
		cancel()
		one.Err = err
		if err == nil {
			for _, rr := range answer.Answer {
				if txt, ok := rr.(*dns.TXT); ok {
					one.Data = append(one.Data, strings.Join(txt.Txt, ""))
				} else if rr.Header().Rrtype == dns.StringToType[rrtype] {
					one.Data = append(one.Data, strings.TrimPrefix(rr.String(), rr.Header().String()))
				}
			}
		}
		out.Servers = append(out.Servers, one)
	}
	return out, nil
}

func (a *authority) ask(servers ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.servers = servers
}

func (a *authority) lookUps() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// prober finds what it is told to.
type prober struct {
	mu     sync.Mutex
	report probe.Report
	asked  []probe.Target
}

func (p *prober) Probe(_ context.Context, t probe.Target) *probe.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, t)
	out := p.report
	return &out
}

func (p *prober) probes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// domainRig is the reconciler of domains at work in namespaces of its own; the test posts in place of the compiler.
type domainRig struct {
	client.Client
	*operator // its board
	t         *testing.T
	ns        string
	other     string // a namespace of somebody else
	clock     *testclock.FakeClock
	primary   *primarytest.Server
	authority *authority
	prober    *prober
	backend   snapshot.BackendReport
}

func newDomainRig(t *testing.T) *domainRig {
	t.Helper()
	c := kubetest.Shared(t)
	r := &domainRig{
		Client: c.Client, t: t, ns: c.Namespace(t), other: c.Namespace(t),
		clock:   testclock.NewFakeClock(time.Now()),
		primary: primarytest.New(t, primarytest.Options{Zones: rigZone, Keys: map[string]string{tsigName: tsigSecret}}),
		prober:  &prober{report: probe.Report{Word: probe.Healthy}},
		backend: snapshot.BackendReport{OK: true},
	}
	r.authority = &authority{servers: []string{r.primary.Addr()}}
	r.restart()
	r.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "tsig"}, Data: map[string][]byte{"key": []byte(tsigSecret + "\n")}})
	return r
}

// restart is a new process: it knows what the cluster holds, and nothing else.
func (r *domainRig) restart() {
	r.t.Helper()
	if r.operator != nil {
		r.stop()
	}
	opt := Options{
		Namespaces: []string{r.ns, r.other}, Clock: r.clock, Authority: r.authority, Prober: r.prober,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	r.operator = startOperator(r.t, kubetest.Shared(r.t).Config, opt, func(mgr manager.Manager, d *deps) error {
		if err := indexFields(r.t.Context(), mgr.GetFieldIndexer()); err != nil {
			return err
		}
		f, err := newFederatedDomains(mgr, d)
		if err != nil {
			return err
		}
		f.backend = func(context.Context, types.NamespacedName, string) (snapshot.BackendReport, error) {
			return r.backend, nil
		}
		return nil
	})
}

func (r *domainRig) make(o client.Object) {
	r.t.Helper()
	if err := r.Create(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

// update is spec.publish for the rig's name server.
func (r *domainRig) update() *v1alpha1.Publish {
	return &v1alpha1.Publish{Type: v1alpha1.PublishRFC2136, RFC2136: &v1alpha1.RFC2136{
		Server: r.primary.Addr(), TSIG: v1alpha1.TSIG{KeyName: tsigName, SecretRef: v1alpha1.SecretKeyRef{Name: "tsig", Key: "key"}},
	}}
}

// domain makes a FederatedDomain for example.org.
func (r *domainRig) domain(name string, p *v1alpha1.Publish) *v1alpha1.FederatedDomain {
	r.t.Helper()
	d := &v1alpha1.FederatedDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name},
		Spec: v1alpha1.FederatedDomainSpec{
			Domain: "example.org", GatewayRef: v1alpha1.GatewayRef{Name: "edge"}, Publish: p,
			Signing: &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "cal"}}},
			Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: "https://cal.example.org/ischedule"}},
		},
	}
	r.make(d)
	return d
}

func (r *domainRig) gateway() types.NamespacedName {
	return types.NamespacedName{Namespace: r.ns, Name: "edge"}
}

// compiled is what becomes of the domain when nothing is wrong.
func compiled(keys ...snapshot.Key) *snapshot.Domain {
	if keys == nil {
		keys = []snapshot.Key{{Domain: "example.org", Selector: "cal1", State: snapshot.KeyActive, Record: keyRecord}}
	}
	return &snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: keys, Lookup: []string{"dns/txt"}}}
}

// post posts what became of a domain; gateway, UID and generation are filled in.
func (r *domainRig) post(d *v1alpha1.FederatedDomain, post board.Domain) {
	r.t.Helper()
	if err := r.Get(r.t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
		r.t.Fatal(err)
	}
	post.UID, post.Generation, post.Gateway = d.UID, d.Generation, r.gateway()
	if post.Settings == nil {
		post.Settings = &snapshot.Gateway{Host: "gw.example.org"}
	}
	r.board.Domains.Post(client.ObjectKeyFromObject(d), post)
}

// serve posts that every pod serves the domain.
func (r *domainRig) serve(d *v1alpha1.FederatedDomain, keys ...snapshot.Key) {
	r.t.Helper()
	r.post(d, board.Domain{Compiled: compiled(keys...), Hash: "abc", Written: true, Programmed: true})
}

// until waits for something; the clock goes on by a second each time it is not there yet.
func (r *domainRig) until(what string, f func(ctx context.Context) bool) {
	r.t.Helper()
	r.untilIn(time.Second, what, f)
}

func (r *domainRig) untilIn(step time.Duration, what string, f func(ctx context.Context) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if f(ctx) {
			return true, nil
		}
		r.clock.Step(step)
		return false, nil
	}); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// becomes waits until a condition has a status and reason, and its message the parts.
func (r *domainRig) becomes(d *v1alpha1.FederatedDomain, kind string, status metav1.ConditionStatus, reason string, parts ...string) {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			for _, c := range d.Status.Conditions {
				r.t.Logf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
			r.t.Logf("%+v", d.Status.Published)
		}
	}()
	r.until(kind+" "+reason, func(ctx context.Context) bool {
		if r.Get(ctx, client.ObjectKeyFromObject(d), d) != nil || d.DeletionTimestamp.IsZero() && d.Status.ObservedGeneration != d.Generation {
			return false
		}
		c := apimeta.FindStatusCondition(d.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason &&
			!slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(c.Message, p) })
	})
}

func (r *domainRig) isReady(d *v1alpha1.FederatedDomain) {
	r.t.Helper()
	r.becomes(d, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// edit changes an object.
func (r *domainRig) edit(o client.Object, change func()) {
	r.t.Helper()
	r.until("edit", func(ctx context.Context) bool {
		if err := r.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			r.t.Fatal(err)
		}
		change()
		err := r.Update(ctx, o)
		if err != nil && !apierrors.IsConflict(err) {
			r.t.Fatal(err)
		}
		return err == nil
	})
}

func (r *domainRig) delete(o client.Object) {
	r.t.Helper()
	if err := r.Delete(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

func (r *domainRig) isGone(o client.Object) {
	r.t.Helper()
	r.until("deletion", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKeyFromObject(o), o))
	})
}

// event waits for an Event in a namespace.
func (r *domainRig) event(namespace, reason string, parts ...string) {
	r.t.Helper()
	r.until("Event "+reason, func(ctx context.Context) bool {
		var list eventsv1.EventList
		if err := r.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false
		}
		return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Reason == reason && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(e.Note, p) })
		})
	})
}

// own sets the TXT record that proves ownership.
func (r *domainRig) own(namespace string) {
	r.t.Helper()
	name, value := records.Challenge("gw.example.org", r.gateway().String(), namespace, "example.org")
	r.primary.Set(r.t, name+`. IN TXT "`+value+`"`)
}

// newSecondary is a name server that has the zone, and none of its news.
func newSecondary(r *domainRig) string {
	return primarytest.New(r.t, primarytest.Options{Zones: rigZone + serviceName + " IN SRV 0 0 443 gw.example.org.\n"}).Addr()
}

func probeSteps() []probe.Step {
	return []probe.Step{
		{Name: "srv", Verdict: probe.OK},
		{Name: "tls gw.example.org", Verdict: probe.Failed, Cause: "the certificate has expired"},
	}
}
