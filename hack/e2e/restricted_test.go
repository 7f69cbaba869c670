//go:build e2e

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The namespaces of the operator and of gateways enforce the strictest of the Pod Security Standards: their pods run there, and what
// would be one liberty more is refused.
func TestPodsAreRestricted(t *testing.T) {
	w := shared(t)
	for _, ns := range []string{systemNS, w.west.name, w.east.name} {
		var namespace corev1.Namespace
		if err := w.c.Get(t.Context(), client.ObjectKey{Name: ns}, &namespace); err != nil {
			t.Fatal(err)
		}
		if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
			t.Errorf("namespace %s enforces %q", ns, got)
		}
		var pods corev1.PodList
		if err := w.c.List(t.Context(), &pods, client.InNamespace(ns), client.MatchingLabels{"app.kubernetes.io/name": "calfed"}, client.MatchingFields{"status.phase": "Running"}); err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) == 0 {
			t.Fatalf("no pod of ours runs in %s", ns)
		}
		for i := range pods.Items {
			if err := w.tryPod(t, &pods.Items[i], func(*corev1.Pod) {}); err != nil {
				t.Errorf("%s/%s runs, and would not be let in: %v", ns, pods.Items[i].Name, err)
			}
		}
		refused := 0
		for what, change := range liberties {
			err := w.tryPod(t, &pods.Items[0], change)
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
				t.Errorf("%s: a pod with %s: %v", ns, what, err)
				continue
			}
			refused++
		}
		t.Logf("%s: %d pods of ours run; of copies with one liberty more %d of %d are refused", ns, len(pods.Items), refused, len(liberties))
	}
}

// liberties that a pod of ours has not.
var liberties = map[string]func(p *corev1.Pod){
	"the network of its node":   func(p *corev1.Pod) { p.Spec.HostNetwork = true },
	"the processes of its node": func(p *corev1.Pod) { p.Spec.HostPID = true },
	"all privileges": func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext.Privileged, p.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true), nil
	},
	"more privileges at will": func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
	"capabilities":            func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.Capabilities = nil },
	"any user":                func(p *corev1.Pod) { p.Spec.SecurityContext.RunAsNonRoot = nil },
	"all system calls":        func(p *corev1.Pod) { p.Spec.SecurityContext.SeccompProfile = nil },
	"a folder of its node":    func(p *corev1.Pod) { p.Spec.Volumes = append(p.Spec.Volumes, hostPath) },
	"a debugger that runs as root": func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "debug", Image: "debug"})
	},
}

var hostPath = corev1.Volume{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}

// tryPod asks the API server, without making it, for a changed copy of a pod.
func (g *ground) tryPod(t *testing.T, pod *corev1.Pod, change func(*corev1.Pod)) error {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: "copy"}, Spec: *pod.Spec.DeepCopy()}
	p.Spec.NodeName = ""
	change(p)
	return g.c.Create(t.Context(), p, client.DryRunAll)
}
