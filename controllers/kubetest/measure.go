package kubetest

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// PID is the process of a pod, for measuring it.
func (k *Kubelet) PID(t testing.TB, pod string) int {
	t.Helper()
	p := k.named(t, pod).running()
	if p == nil {
		t.Fatalf("pod %s has no process", pod)
	}
	return p.cmd.Process.Pid
}

// EtcdReceived is the number of bytes that etcd was sent so far: all that was written, and the questions.
func (c *Cluster) EtcdReceived(t testing.TB) int64 {
	t.Helper()
	v, err := metric(c.env.ControlPlane.Etcd.URL.String()+"/metrics", "etcd_network_client_grpc_received_bytes_total")
	if err != nil {
		t.Fatalf("etcd: %v", err)
	}
	return int64(v)
}

// metric reads one metric without labels.
func metric(url, name string) (float64, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s at %s", name, url)
}
