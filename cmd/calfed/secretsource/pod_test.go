package secretsource_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/calfed/calfed/cmd/calfed/secretsource"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/snapshot"
)

// pod is a gateway with its source, as calfed gateway puts them together.
type pod struct {
	t      testing.TB
	gw     *gateway.Gateway
	source *secretsource.Source
	log    *logged
	client *http.Client
	stop   func() // may be called again
}

// startPod runs one with the ServiceAccount of pods; its folder is that of an emptyDir.
func (p *plane) startPod(folder string, change ...func(*secretsource.Source)) *pod {
	p.t.Helper()
	return p.startPodAs(p.cluster.As(p.t, p.namespace, gatewayName), folder, change...)
}

func (p *plane) startPodAs(config *rest.Config, folder string, change ...func(*secretsource.Source)) *pod {
	p.t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.ca.Pool(), ServerName: "gw.example.org"}}
	d := &pod{t: p.t, log: &logged{}, client: &http.Client{Transport: transport}}
	logger := slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d.gw = gateway.New(gateway.Options{PublicAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", Log: logger})
	var err error
	d.source, err = secretsource.New(secretsource.Config{REST: config, Namespace: p.namespace, Name: gatewayName, Gateway: d.gw, Folder: folder, Log: logger})
	check(p.t, err)
	for _, c := range change {
		c(d.source)
	}
	d.source.Restore()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.source.Run(ctx) })
	running.Go(func() {
		if err := d.gw.Run(ctx); err != nil {
			p.t.Errorf("gateway: %v", err)
		}
	})
	d.stop = func() {
		transport.CloseIdleConnections()
		cancel()
		running.Wait()
	}
	p.t.Cleanup(d.stop)
	<-d.gw.Started()
	return d
}

// record is what the gateway publishes of a domain; "" = it does not serve the domain.
func (d *pod) record(domain string) string {
	d.t.Helper()
	status, body := d.get("https://" + d.gw.Addrs().Public.String() + "/.well-known/domainkey/" + domain + "/cal")
	if status != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(body)
}

func (d *pod) get(url string) (status int, body string) {
	d.t.Helper()
	resp, err := d.client.Get(url)
	if err != nil {
		return 0, err.Error() // before the first snapshot there is no certificate
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	check(d.t, err)
	return resp.StatusCode, string(b)
}

func (d *pod) admin(path string) (status int, body string) {
	d.t.Helper()
	return d.get("http://" + d.gw.Addrs().Admin.String() + path)
}

// ready is whether /readyz says so, and what it says of a newer configuration.
func (d *pod) ready() (ready bool, stale string) {
	d.t.Helper()
	status, body := d.admin("/readyz")
	var says struct {
		Ready bool
		Stale string
	}
	check(d.t, json.Unmarshal([]byte(body), &says))
	if says.Ready != (status == http.StatusOK) {
		d.t.Errorf("/readyz: %d %s", status, body)
	}
	return says.Ready, says.Stale
}

func (d *pod) metric(sample string) string {
	d.t.Helper()
	_, body := d.admin("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// serves waits until an index is served and nothing of it refused.
func (d *pod) serves(x *snapshot.Index) {
	d.t.Helper()
	eventually(d.t, "the index is served", func() bool {
		s := d.source.Status()
		return s.Serial == x.Serial && len(s.Rejected) == 0
	})
}

// rejects waits until something is refused for a reason; what is refused.
func (d *pod) rejects(reason string) []snapshot.Rejection {
	d.t.Helper()
	var rejected []snapshot.Rejection
	eventually(d.t, "something is refused: "+reason, func() bool {
		rejected = d.source.Status().Rejected
		return len(rejected) > 0 && strings.HasPrefix(rejected[0].Problem, reason+": ")
	})
	return rejected
}
