package controllers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/snapshot"
)

// everybody sets up all reconcilers.
func everybody(mgr manager.Manager, d *deps) error {
	for _, setup := range []func(manager.Manager, *deps) error{setupSnapshot, setupFederationGateway, setupDKIMKey, setupFederatedDomain, setupPeerPolicy} {
		if err := setup(mgr, d); err != nil {
			return err
		}
	}
	return nil
}

// status waits until an object's condition is as wanted, and returns it.
func (w *world) status(o client.Object, conditions func() []metav1.Condition, kind string, want metav1.ConditionStatus) metav1.Condition {
	w.t.Helper()
	var got metav1.Condition
	eventually(w.t, 2*patience, func(ctx context.Context) string {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		c := apimeta.FindStatusCondition(conditions(), kind)
		if c == nil || c.Status != want || c.ObservedGeneration != o.GetGeneration() {
			return fmt.Sprintf("%s of %s is not %s: %+v", kind, o.GetName(), want, conditions())
		}
		got = *c
		return ""
	})
	return got
}

// Resources in, gateways out: real pods serve what was compiled; a pod that hangs is named, a poisoned shard is refused and said so,
// an API server that is away changes nothing for traffic. All of it with the rules that config/rbac has, and none of them in vain.
func TestStory(t *testing.T) {
	c := kubetest.New(t, kubetest.Options{ControllerManager: true, Neighbours: true, Audit: true})
	w := newWorld(t, c)
	system := c.Namespace(t)
	config, role := asManager(t, c, system)
	kubelet := c.Kubelet(t, w.ns)
	var deposed atomic.Bool
	primary := primarytest.New(t, primarytest.Options{Zones: rigZone, Keys: map[string]string{tsigName: tsigSecret}})
	opt := Options{
		Image: "registry.example.org/calfed:test", Prober: &prober{report: probe.Report{Word: probe.Healthy}},
		Authority: &authority{servers: []string{primary.Addr()}}, Dial: new(net.Dialer).DialContext,
		APIServer: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")},
		Leading: func(context.Context) error {
			if deposed.Load() {
				return errors.New("somebody else leads")
			}
			return nil
		},
	}
	o := startOperator(t, config, opt, everybody)

	gw := &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}
	edit(w, gw, func(g *v1alpha1.FederationGateway) { g.Spec.Replicas = new(int32(2)) })
	ofGateway := func() []metav1.Condition { return gw.Status.Conditions }
	d := w.domain("example.org")
	ofDomain := func() []metav1.Condition { return d.Status.Conditions }
	policy := &v1alpha1.PeerPolicy{ObjectMeta: w.meta("partner"), Spec: v1alpha1.PeerPolicySpec{Peers: []v1alpha1.DomainPattern{"partner.example"}, Action: v1alpha1.ActionAllow}}
	w.make(policy)
	ofPolicy := func() []metav1.Condition { return policy.Status.Conditions }

	t.Log("pods serve it")
	w.status(gw, ofGateway, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)
	w.status(d, ofDomain, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)
	w.status(policy, ofPolicy, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)
	pods := w.pods()
	for _, p := range pods {
		w.answers(p)
	}

	t.Log("a change reaches every pod in time")
	began := time.Now()
	edit(w, d, func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://second.example.org/" })
	w.status(d, ofDomain, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)
	t.Logf("edit to Programmed in the status: %s", time.Since(began).Round(time.Millisecond))

	t.Log("a pod that hangs is named")
	kubelet.Freeze(t, pods[0].Name)
	edit(w, d, func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://third.example.org/" })
	w.domainPost(o, d.Name, 2*patience, func(p board.Domain) string {
		if p.Programmed || !slices.ContainsFunc(p.Blocking, func(s string) bool { return strings.HasPrefix(s, pods[0].Name+": unreachable: ") }) {
			return fmt.Sprintf("programmed %t, blocking %q", p.Programmed, p.Blocking)
		}
		return ""
	})
	if blocked := w.status(d, ofDomain, v1alpha1.ConditionProgrammed, metav1.ConditionFalse); !strings.Contains(blocked.Message, pods[0].Name) {
		t.Errorf("the condition does not name the pod: %s", blocked.Message)
	}
	kubelet.Thaw(t, pods[0].Name)
	w.status(d, ofDomain, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)

	t.Log("a poisoned shard is refused, and said so")
	deposed.Store(true)
	w.poison("example.org")
	w.gateway(o, 2*patience, func(p board.Gateway) string {
		for _, pod := range p.Pods {
			if !strings.HasPrefix(pod.Problem, "rejects Secret edge-snap-") {
				return fmt.Sprintf("pod %s: %q", pod.Name, pod.Problem)
			}
		}
		return ""
	})
	for _, p := range w.pods() {
		w.answers(p)
	}
	deposed.Store(false)
	w.gateway(o, 2*patience, func(p board.Gateway) string {
		for _, pod := range p.Pods {
			if !pod.Programmed {
				return fmt.Sprintf("pod %s: %q", pod.Name, pod.Problem)
			}
		}
		return ""
	})

	t.Log("without API server traffic goes on")
	c.StopAPIServer(t)
	for _, p := range pods {
		w.answers(p)
	}
	c.StartAPIServer(t)
	kubelet.Restart(t, pods[1].Name)
	w.answers(pods[1])
	edit(w, d, func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://fourth.example.org/" })
	w.status(d, ofDomain, v1alpha1.ConditionProgrammed, metav1.ConditionTrue)

	t.Log("what not everybody has comes and goes")
	other := newWorld(t, c) // its pods nobody runs
	other.objectsOfNeighbours()
	other.endpointsForExternalDNS()
	other.updatesOfNameServers(primary)

	t.Log("all goes")
	w.delete(d)
	w.serves(patience)
	eventually(t, patience, func(ctx context.Context) string {
		if parts := w.parts(ctx); len(parts) != 1 {
			return fmt.Sprintf("%d Secrets, want the index alone", len(parts))
		}
		return ""
	})
	w.delete(gw)
	eventually(t, 2*patience, func(context.Context) string {
		if left := w.versions(); len(left) > 0 {
			return fmt.Sprint("Secrets are left: ", left)
		}
		return ""
	})
	o.stop()
	checkRules(t, role, c.Requests(t), "system:serviceaccount:"+system+":"+account)
}

// pods of the gateway, by name.
func (w *world) pods() []corev1.Pod {
	w.t.Helper()
	var list corev1.PodList
	if err := w.List(w.t.Context(), &list, client.InNamespace(w.ns), client.MatchingLabels(infra.PodLabels("edge"))); err != nil {
		w.t.Fatal(err)
	}
	if len(list.Items) != 2 {
		w.t.Fatalf("%d pods, want 2", len(list.Items))
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return list.Items
}

// answers waits until a pod answers other organisations.
func (w *world) answers(p corev1.Pod) {
	w.t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.Pool(), ServerName: "edge.example", MinVersion: tls.VersionTLS12}}
	defer tr.CloseIdleConnections()
	eventually(w.t, patience, func(ctx context.Context) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.Status.PodIP+":8443/.well-known/ischedule?action=capabilities", nil)
		if err != nil {
			return err.Error()
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err.Error()
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return ""
	})
}

// poison writes an index that names a shard whose content is none.
func (w *world) poison(domain string) {
	w.t.Helper()
	_, x := w.served(w.t.Context())
	number := snapshot.ShardOf(domain)
	x.Serial++
	for i := range x.Shards {
		if x.Shards[i].Number == number {
			x.Shards[i].Serial, x.Shards[i].SHA256 = x.Serial, strings.Repeat("0", 64)
		}
	}
	edit(w, &corev1.Secret{ObjectMeta: w.meta(snapshot.ShardName("edge", number))}, func(s *corev1.Secret) { s.Data[snapshot.ShardKey] = []byte("poison") })
	encoded, err := snapshot.EncodeIndex(x)
	if err != nil {
		w.t.Fatal(err)
	}
	edit(w, &corev1.Secret{ObjectMeta: w.meta(snapshot.IndexName("edge"))}, func(s *corev1.Secret) { s.Data[snapshot.IndexKey] = encoded })
}
