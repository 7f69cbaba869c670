package kubetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

// recorder takes the errors that a Kubelet reports.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.errors, "\n")
}

func TestPodThatTheKubeletCannotRunFailsTheTest(t *testing.T) {
	c := kubetest.Shared(t)
	for name, container := range map[string]string{
		"an exec probe":               `{livenessProbe: {exec: {command: [/true]}}}`,
		"envFrom":                     `{envFrom: [{configMapRef: {name: kube-root-ca.crt}}]}`,
		"subPath":                     `{volumeMounts: [{name: v, mountPath: /v, subPath: a}]}`,
		"a preStop with a command":    `{lifecycle: {preStop: {exec: {command: [/true]}}}}`,
		"a volume of another kind":    `{volumeMounts: [{name: host, mountPath: /v}]}`,
		"a field it does not know of": `{env: [{name: M, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['a']"}}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			ns := c.Namespace(t)
			r := &recorder{TB: t}
			c.Kubelet(r, ns)
			volumes := "[{name: v, emptyDir: {}}]"
			if strings.Contains(container, "host") {
				volumes = "[{name: host, hostPath: {path: /}}]"
			}
			c.Kubectl(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\nspec:\n  volumes: "+volumes+
				"\n  containers: [{name: odd, image: example.org/odd, "+strings.TrimPrefix(container, "{")+"]\n", "apply", "-n", ns, "-f", "-")
			eventually(t, "no error is reported", func(context.Context) bool { return strings.Contains(r.all(), "pod odd: ") })
		})
	}
}
