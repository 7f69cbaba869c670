package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/podtls"
	"github.com/calfed/calfed/gateway/snapshot"
)

var gatewayAnnouncement = regexp.MustCompile(`^serving: public 127\.0\.0\.1:\d+, admin (127\.0\.0\.1:\d+), status (127\.0\.0\.1:\d+)\n$`)

// startGateway starts `calfed gateway` and waits for the line that says where; it returns the status address.
func startGateway(t *testing.T, args ...string) (r *running, status string) {
	t.Helper()
	r = &running{t: t, ended: make(chan struct{}), log: &logBuffer{}}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	out, in := io.Pipe()
	root := newRootCommand()
	root.SetArgs(append([]string{"gateway", "--public-addr", "127.0.0.1:0", "--submit-addr", "", "--admin-addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0"}, args...))
	root.SetOut(in)
	root.SetErr(r.log)
	go func() {
		defer close(r.ended)
		r.err = root.ExecuteContext(ctx)
		_ = in.Close()
	}()
	t.Cleanup(r.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	m := gatewayAnnouncement.FindStringSubmatch(line)
	if m == nil {
		stop()
		<-r.ended
		t.Fatalf("%q, %v, gateway ended with %v:\n%s", line, err, r.err, r.log)
	}
	r.admin = m[1]
	return r, m[2]
}

// kubeconfig writes a file that leads to the API server.
func kubeconfig(t *testing.T, c *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// statusClient is the control plane's side of the status listener.
type statusClient struct {
	t         *testing.T
	folder    string
	authority podtls.Authority
}

// renew makes another authority, and certificates of it for the pods.
func (m *statusClient) renew() {
	m.t.Helper()
	now := time.Now()
	var err error
	if m.authority, err = podtls.NewAuthority("alpha", "alpha", now); err != nil {
		m.t.Fatal(err)
	}
	server, err := m.authority.Server("alpha", "alpha", now)
	if err != nil {
		m.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": server.Certificate, "tls.key": server.Key, "ca.crt": m.authority.Certificate} {
		if err := os.WriteFile(filepath.Join(m.folder, name), content, 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

// ask asks a pod, over a connection of its own.
func (m *statusClient) ask(addr string) (snapshot.PodStatus, error) {
	m.t.Helper()
	pair, err := m.authority.Client(time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		m.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.authority.Certificate)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: podtls.ServerName("alpha", "alpha"), Certificates: []tls.Certificate{certificate},
	}}}
	var status snapshot.PodStatus
	resp, err := client.Get("https://" + addr + "/status")
	if err != nil {
		return status, err
	}
	defer func() { _ = resp.Body.Close() }()
	return status, json.NewDecoder(resp.Body).Decode(&status)
}

// The whole command: a snapshot from Secrets is served, the manager is told so, certificates are replaced under way, and a restart
// without an API server serves on.
func TestGateway(t *testing.T) {
	dir := t.TempDir()
	testManifests(t, dir)
	c, err := compileManifests([]string{dir}, compile.CapabilityState{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.gateway("")
	if err != nil {
		t.Fatal(err)
	}
	cluster := kubetest.New(t, kubetest.Options{})
	write := func(name, key string, value []byte) {
		t.Helper()
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "alpha", Name: name}, Data: map[string][]byte{key: value}}
		if err := cluster.Client.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "alpha"}}); err != nil {
		t.Fatal(err)
	}
	shard := &snapshot.Shard{Number: snapshot.ShardOf("alpha.example"), Serial: 1, Domains: out.Snapshot.Domains, Policies: out.Snapshot.Policies}
	raw, err := snapshot.EncodeShard(shard)
	if err != nil {
		t.Fatal(err)
	}
	write(snapshot.ShardName("alpha", shard.Number), snapshot.ShardKey, raw)
	raw, err = snapshot.EncodeIndex(&snapshot.Index{Serial: 1, Gateway: out.Snapshot.Gateway, Shards: []snapshot.ShardRef{shard.Ref()}})
	if err != nil {
		t.Fatal(err)
	}
	write(snapshot.IndexName("alpha"), snapshot.IndexKey, raw)

	m := &statusClient{t: t, folder: t.TempDir()}
	m.renew()
	args := []string{
		"--namespace", "alpha", "--gateway", "alpha", "--kubeconfig", kubeconfig(t, cluster.Config), "--status-tls", m.folder,
		"--data", filepath.Join(t.TempDir(), "data"), "--log-format", "json",
	}
	r, addr := startGateway(t, args...)
	r.until("the snapshot is served", func() bool {
		status, err := m.ask(addr)
		return err == nil && status.Serial == 1 && status.IndexUID != ""
	})
	if status, _ := r.ready(); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}

	m.renew()
	if _, err := m.ask(addr); err != nil {
		t.Errorf("with new certificates: %v", err)
	}
	old := m.authority
	m.renew()
	current := m.authority
	m.authority = old
	if _, err := m.ask(addr); err == nil {
		t.Error("certificates of the authority before are let in")
	}
	m.authority = current
	if _, err := m.ask(addr); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.folder, "tls.key"), []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ask(addr); err != nil {
		t.Errorf("while certificates are replaced: %v", err)
	}
	if !strings.Contains(r.log.String(), `"reason":"status-tls"`) {
		t.Errorf("nothing is told of certificates that do not go together:\n%s", r.log)
	}
	r.end()

	cluster.StopAPIServer(t)
	m.renew()
	r, addr = startGateway(t, args...)
	if status, err := m.ask(addr); err != nil || status.Serial != 1 {
		t.Errorf("without an API server: %+v, %v", status, err)
	}
	if status, _ := r.ready(); status != http.StatusOK {
		t.Errorf("without an API server: /readyz %d", status)
	}
	r.end()
}

// What cannot work is said at once.
func TestGatewayNeeds(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for want, args := range map[string][]string{
		`required flag(s) "gateway", "namespace" not set`: nil,
		"--namespace, --gateway: must not be empty":       {"--namespace", "", "--gateway", "edge"},
		"--kubeconfig":       {"--namespace", "calendars", "--gateway", "edge"},
		"none: no such file": {"--namespace", "calendars", "--gateway", "edge", "--kubeconfig", "none"},
		"--status-tls":       {"--namespace", "calendars", "--gateway", "edge", "--status-addr", ":0"},
		"--public-addr":      {"--namespace", "calendars", "--gateway", "edge", "--public-addr", ""},
		"--log-level":        {"--namespace", "calendars", "--gateway", "edge", "--log-level", "loud"},
	} {
		code, _, err := calfed(t, nil, append([]string{"gateway", "--data", t.TempDir()}, args...)...)
		if code != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: exit %d, %v; want %q", args, code, err, want)
		}
	}
}
