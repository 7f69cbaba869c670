//go:build e2e

package e2e_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

var dumped bool

// dumpIfFailed shows what a person would look at when the test has failed.
func dumpIfFailed(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			dump(t)
		}
	})
}

// dump shows what a person would look at first, once in a process.
func dump(t *testing.T) {
	t.Helper()
	if dumped || theGround == nil {
		return
	}
	dumped = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	show := func(lines int, args ...string) {
		out, err := theGround.tryKubectl(ctx, "", args...)
		all := slices.DeleteFunc(strings.Split(strings.TrimSpace(out), "\n"), func(line string) bool { return strings.Contains(line, `"msg":"Starting `) })
		if cut := len(all) - lines; cut > 0 {
			all = append([]string{"…"}, all[cut:]...)
		}
		t.Logf("$ kubectl %s\n%s", strings.Join(args, " "), strings.Join(all, "\n"))
		if err != nil {
			t.Log(err)
		}
	}
	show(100, "get", "nodes,pods", "-A", "-o", "wide")
	show(60, "get", "calfed", "-A")
	show(50, "get", "events", "-A", "--sort-by=.lastTimestamp")
	for _, ns := range theGround.namespaces {
		show(120, "-n", ns, "logs", "--selector", "app.kubernetes.io/name=calfed", "--tail=60", "--prefix")
	}
	for _, what := range theGround.notReady(ctx) {
		t.Log(what)
	}
	out, _ := theGround.tryKubectl(ctx, "", "get", "pods", "-A", "--no-headers")
	described := 0
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if ready := len(f) > 3 && f[3] == "Running" && strings.Split(f[2], "/")[0] == strings.Split(f[2], "/")[1]; ready || len(f) < 4 || described == 5 {
			continue
		}
		described++
		show(60, "-n", f[0], "describe", "pod", f[1])
	}
}
