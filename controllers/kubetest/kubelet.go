package kubetest

import "testing"

// Kubelet runs pods of a namespace until the end of the test: for every pod of a Deployment that has a container with the command
// calfed gateway it starts the real process, on a loopback address of its own, which is the pod's address; the volumes, the token and
// the ports are those of the pod; its probes decide about its conditions; deleting the pod sends SIGTERM and, after the grace
// period, kills. It needs Options.ControllerManager.
func (c *Cluster) Kubelet(t testing.TB, namespace string) *Kubelet { panic("not written yet") }

// Kubelet runs the pods of a namespace.
type Kubelet struct{}

// Restart kills the process of a pod's container and starts it again in the same pod: its emptyDir volumes stay.
func (k *Kubelet) Restart(t testing.TB, pod string) { panic("not written yet") }

// Freeze stops a pod's process (SIGSTOP), so that it answers nobody; Thaw lets it go on.
func (k *Kubelet) Freeze(t testing.TB, pod string) { panic("not written yet") }

// Thaw lets a frozen pod go on.
func (k *Kubelet) Thaw(t testing.TB, pod string) { panic("not written yet") }

// Logs returns what a pod's process wrote.
func (k *Kubelet) Logs(pod string) string { panic("not written yet") }
