//go:build interop

package operator_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/gateway/ischedule"
)

// From nothing: the chart, the samples and the Secrets that they ask for, and the records set that their status shows. Everything
// becomes Ready, and the pods serve it. Deleted, nothing is left: no record that we wrote, no Secret of ours, no finalizer.
func TestSamplesFromNothingToReadyAndAway(t *testing.T) {
	w := newWorld(t)
	w.namespace("federation")
	w.balance(w.lbIP, "federation", "edge")
	w.sampleSecrets()
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("no samples: %v", err)
	}
	// the times of the samples are those of production, the resolver that of somebody else
	here := strings.NewReplacer(
		`resolver: "10.0.0.53:53"`, `resolver: "`+w.nsIP+`:53"`,
		"publishBefore: 1h ", "publishBefore: 0s ",
		"rotation: {interval: 2160h}", "rotation: {interval: 2160h, publishBefore: 0s}",
	)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("---\n" + here.Replace(string(text)) + "\n")
	}
	w.cluster.Kubectl(t, all.String(), "apply", "-f", "-")
	w.Secret(t, "customer-acme", "dav", map[string]string{"username": "calfed", "password": "dav-0123456789abcdef"})

	w.until("every resource is Ready", func() string {
		return strings.Join(w.NotReady(context.Background()), "\n") + "\n" + w.cluster.Kubectl(t, "", "get", "calfed", "-A", "-o", "wide")
	}, func(ctx context.Context) bool {
		w.AsTold(ctx, t)
		w.externalDNS(ctx)
		return len(w.NotReady(ctx)) == 0
	})
	t.Logf("\n%s", w.cluster.Kubectl(t, "", "get", "calfed", "-A"))

	// what was compiled is what the pods serve
	if got := w.capabilities(); got.MaxRecipients != 100 {
		t.Errorf("capabilities of the gateway: %+v", got)
	}

	// and away
	w.cluster.Kubectl(t, "", "delete", "fdom,fgw,dkey,ppol", "--all", "-A", "--wait", "--timeout=60s")
	w.until("nothing of ours is left", func() string {
		return w.cluster.Kubectl(t, "", "get", "secrets,deploy,pods,svc,role,rolebinding,sa,netpol,pdb,dnsendpoints", "-n", "federation") + strings.Join(w.DNS.Names(), "\n")
	}, func(ctx context.Context) bool { return len(w.left(ctx)) == 0 })
}

// left is what should be gone: Secrets that we made, pods, and records that were written by dynamic update.
func (w *world) left(ctx context.Context) []string {
	var out []string
	var secrets corev1.SecretList
	var pods corev1.PodList
	for _, ns := range []string{"federation", "customer-acme"} {
		if err := w.Client.List(ctx, &secrets, client.InNamespace(ns)); err != nil {
			return []string{err.Error()}
		}
		for _, s := range secrets.Items {
			if s.Labels["app.kubernetes.io/managed-by"] == "calfed" || s.Labels["calfed.dev/owned"] != "" {
				out = append(out, s.Name)
			}
		}
		if err := w.Client.List(ctx, &pods, client.InNamespace(ns)); err != nil {
			return []string{err.Error()}
		}
		for _, p := range pods.Items {
			out = append(out, p.Name)
		}
	}
	return append(out, slices.DeleteFunc(w.DNS.Names(), func(n string) bool { return !strings.HasSuffix(n, ".events.example.org.") })...)
}

// capabilities asks the gateway as a peer does.
func (w *world) capabilities() *ischedule.Capabilities {
	w.t.Helper()
	to := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.CA.Pool()}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.lbIP+":443")
	}}
	defer to.CloseIdleConnections()
	resp, err := (&http.Client{Transport: to}).Get("https://" + host + ischedule.WellKnownPath + "?action=capabilities")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body := make([]byte, 1<<20)
	n := 0
	for err == nil && n < len(body) {
		var m int
		m, err = resp.Body.Read(body[n:])
		n += m
	}
	c, err := ischedule.ReadCapabilities(body[:n])
	if err != nil {
		w.t.Fatalf("%v: %s", err, body[:n])
	}
	return c
}

// sampleSecrets makes what the samples refer to.
func (w *world) sampleSecrets() {
	const ns = "federation"
	w.Certificate(w.t, ns, "edge-tls", host)
	w.Secret(w.t, ns, "example-org-dkim", map[string]string{"private.key": key(w.t, "rsa-2048")})
	for _, name := range []string{"smarthost", "cyrus-calfed", "davical-calfed", "submit-mailserver"} {
		w.Secret(w.t, ns, name, map[string]string{"username": "calfed", "password": name + "-0123456789abcdef"})
	}
	w.Secret(w.t, ns, "dns-tsig", map[string]string{"key": tsig})
	w.Secret(w.t, ns, "partner-authorization", map[string]string{"value": "Bearer 0123456789abcdef"})
	w.Secret(w.t, ns, "submit-token", map[string]string{"token": "0123456789abcdef"})
	w.Put(w.t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "company-ca"}, Data: map[string]string{"ca.crt": string(w.CA.PEM())}})
}
