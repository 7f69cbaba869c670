//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/hack/metricstest"
)

// usage is what the container of a pod used until a moment, as its kubelet says it. A kubelet looks every ten seconds or so.
type usage struct {
	at         time.Time
	cpu        float64 // seconds
	workingSet float64 // MiB; what a limit of memory and evictions go by
	peak       float64 // MiB since the container began, by the kernel: with cached files that can be dropped
}

// usages are those of all pods, by namespace/name. Ours have one container each.
func (m *measured) usages(ctx context.Context) (map[string]usage, error) {
	var nodes corev1.NodeList
	if err := m.c.List(ctx, &nodes); err != nil {
		return nil, err
	}
	out := map[string]usage{}
	for _, n := range nodes.Items {
		raw, err := m.kube.CoreV1().RESTClient().Get().Resource("nodes").Name(n.Name).SubResource("proxy").Suffix("metrics/cadvisor").DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		for s := range metricstest.Samples(bytes.NewReader(raw)) {
			if s.Label("container") == "" {
				continue
			}
			pod := s.Label("namespace") + "/" + s.Label("pod")
			u := out[pod]
			switch s.Name {
			case "container_cpu_usage_seconds_total":
				u.at, u.cpu = s.At, s.Value
			case "container_memory_working_set_bytes":
				u.workingSet = s.Value / (1 << 20)
			case "container_memory_max_usage_bytes":
				u.peak = s.Value / (1 << 20)
			default:
				continue
			}
			out[pod] = u
		}
	}
	return out, nil
}

// usedAfter waits until kubelets have looked at pods after a moment.
func (m *measured) usedAfter(t testing.TB, moment time.Time, pods ...string) map[string]usage {
	t.Helper()
	var now map[string]usage
	m.within(t, time.Until(moment)+time.Minute, "kubelets have figures of "+strings.Join(pods, ", "), func() string { return "" }, func(ctx context.Context) bool {
		var err error
		if now, err = m.usages(ctx); err != nil {
			return false
		}
		for _, p := range pods {
			if now[p].at.Before(moment) {
				return false
			}
		}
		return true
	})
	return now
}

// meanwhile looks at the working sets of all pods while something happens, and returns the largest of each.
func (m *measured) meanwhile(t testing.TB, happens func()) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	most := map[string]float64{}
	var looking sync.WaitGroup
	looking.Go(func() {
		for tick := time.NewTicker(3 * time.Second); ; {
			now, err := m.usages(ctx)
			for pod, u := range now {
				most[pod] = max(most[pod], u.workingSet)
			}
			if err != nil && ctx.Err() == nil {
				t.Log(err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	})
	happens()
	cancel()
	looking.Wait()
	return most
}

// around is what was used beside pods until now, in seconds of CPU: by this process, which has the back end and the name server; by
// the API server; by everything on this machine. Linux only.
type around struct {
	at                 time.Time
	test, api, machine float64
}

func (m *measured) around(t testing.TB) around {
	t.Helper()
	out := around{at: time.Now()}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	out.test = time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	raw, err := m.kube.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out.api = metricstest.Sums(bytes.NewReader(raw))["process_cpu_seconds_total"]
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(line)[1:] {
		if idle := i == 3 || i == 4; idle || i > 7 { // idle, iowait; guest is in user already
			continue
		}
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		out.machine += ticks / 100
	}
	return out
}

// cores are those that were busy on average since before.
func (a around) cores(before around) (test, api, machine float64) {
	d := a.at.Sub(before.at).Seconds()
	return (a.test - before.test) / d, (a.api - before.api) / d, (a.machine - before.machine) / d
}

// load is the machine's load average.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
