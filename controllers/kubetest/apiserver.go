package kubetest

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
)

// StopAPIServer kills the API server; StartAPIServer starts it again, at the same address, with the same data.
func (c *Cluster) StopAPIServer(t testing.TB) {
	t.Helper()
	c.killAPIServer()
	if err := c.env.ControlPlane.APIServer.Stop(); err != nil { // waits for its end
		t.Fatalf("stop the API server: %v", err)
	}
	c.stopped = true
}

// killAPIServer does not wait for requests under way, which watches are.
func (c *Cluster) killAPIServer() {
	text, err := os.ReadFile(c.path("kube-apiserver.pid"))
	if err != nil {
		return // never started
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// StartAPIServer starts it again and waits until it answers.
func (c *Cluster) StartAPIServer(t testing.TB) {
	t.Helper()
	if err := c.env.ControlPlane.APIServer.Start(); err != nil {
		t.Fatalf("start the API server: %v\n%s", err, c.logs())
	}
	c.stopped = false
	if err := c.eventually(c.ready); err != nil {
		t.Fatalf("the API server does not become ready: %v\n%s", err, c.logs())
	}
}

func (c *Cluster) ready(ctx context.Context) error {
	config := rest.CopyConfig(c.Config)
	config.NegotiatedSerializer = rawSerializer
	raw, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return err
	}
	return raw.Get().AbsPath("/readyz").Do(ctx).Error()
}
