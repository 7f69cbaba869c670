package kubetest

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// errHopeless is in errors that no second try mends; they fail the test.
var errHopeless = errors.New("the test's kubelet cannot run it")

// unsupported says that a pod wants what this kubelet has not.
func unsupported(what string) error {
	return fmt.Errorf("%w: no support for %s", errHopeless, what)
}

// supported looks for what would silently not happen.
func supported(object *corev1.Pod, c *corev1.Container) error {
	if len(object.Spec.InitContainers) != 0 {
		return unsupported("init containers")
	}
	if len(c.EnvFrom) != 0 {
		return unsupported("envFrom")
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if probe != nil && probe.HTTPGet == nil {
			return unsupported("a probe other than httpGet")
		}
	}
	if c.Lifecycle != nil && (c.Lifecycle.PostStart != nil || c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep == nil) {
		return unsupported("a hook other than a preStop sleep")
	}
	for _, m := range c.VolumeMounts {
		if m.SubPath != "" || m.SubPathExpr != "" {
			return unsupported("subPath")
		}
	}
	return nil
}
