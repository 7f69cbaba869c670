package controllers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/kubetest"
)

// BenchmarkEditToEveryPod is how long an edit takes from the request that makes it until every pod, of two, answers strangers
// accordingly: under 2 s is what is wanted (issue 4), of which changes are gathered for 250 ms. Below it, the time in which a
// watch hears of an edit: no operator is faster than two of those.
func BenchmarkEditToEveryPod(b *testing.B) {
	c := kubetest.New(b, kubetest.Options{ControllerManager: true, Measuring: true})
	b.Run("edit of a DKIMKey to every pod", func(b *testing.B) { benchmarkEdit(b, c) })
	b.Run("edit to a watch", func(b *testing.B) { benchmarkWatch(b, c) })
}

func benchmarkEdit(b *testing.B, c *kubetest.Cluster) {
	w := newWorld(b, c)
	edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) {
		g.Spec.Limits = &v1alpha1.Limits{RequestsPerSource: "100000/s"}
	})
	w.domain("example.org")
	c.Kubelet(b, w.ns)
	o := startOperator(b, c.Config, Options{Namespaces: []string{w.ns}, Image: "registry.example.org/calfed:test"}, setupSnapshot, setupFederationGateway)
	w.gateway(o, 4*patience, func(p board.Gateway) string {
		if len(p.Pods) != 2 || !p.Pods[0].Programmed || !p.Pods[1].Programmed {
			return fmt.Sprintf("pods: %+v", p.Pods)
		}
		return ""
	})
	pods := w.pods()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.Pool(), ServerName: "edge.example", MinVersion: tls.VersionTLS12}}
	b.Cleanup(transport.CloseIdleConnections)
	key, slowest, n := &v1alpha1.DKIMKey{ObjectMeta: w.meta("example-org")}, time.Duration(0), 0
	for b.Loop() {
		n++
		selector := fmt.Sprint("cal", n)
		began := time.Now()
		edit(w, key, func(k *v1alpha1.DKIMKey) { k.Spec.Source.Imported.Selector = v1alpha1.Selector(selector) })
		for _, p := range pods {
			has(b, transport, p, "example.org", selector)
		}
		slowest = max(slowest, time.Since(began))
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(n), "s/edit")
	b.ReportMetric(slowest.Seconds(), "s/slowest")
}

// has waits until a pod shows strangers the key (IS-DKIM-11).
func has(b *testing.B, transport http.RoundTripper, pod corev1.Pod, domain, selector string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	url := "https://" + pod.Status.PodIP + ":8443/.well-known/domainkey/" + domain + "/" + selector
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			b.Fatalf("pod %s: %v", pod.Name, err)
		}
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return
		case http.StatusNotFound:
			time.Sleep(time.Millisecond)
		default:
			b.Fatalf("pod %s: %s", pod.Name, resp.Status)
		}
	}
}

func benchmarkWatch(b *testing.B, c *kubetest.Cluster) {
	w := &world{Client: c.Client, t: b, cluster: c, ns: c.Namespace(b)}
	watching, err := client.NewWithWatch(c.Config, client.Options{Scheme: c.Client.Scheme()})
	if err != nil {
		b.Fatal(err)
	}
	o := &corev1.Secret{ObjectMeta: w.meta("edited")}
	w.make(o)
	events, err := watching.Watch(b.Context(), &corev1.SecretList{}, client.InNamespace(w.ns))
	if err != nil {
		b.Fatal(err)
	}
	defer events.Stop()
	n := 0
	for b.Loop() {
		n++
		value := fmt.Sprint(n)
		edit(w, o, func(s *corev1.Secret) { s.Data = map[string][]byte{"n": []byte(value)} })
		for event := range events.ResultChan() {
			if s, ok := event.Object.(*corev1.Secret); event.Type == watch.Modified && ok && string(s.Data["n"]) == value {
				break
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(n), "s/edit")
}
