package kubetest

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (k *Kubelet) hostIP() string { return k.cluster.net.addr(3).String() }

// report writes the pod's status when it is another than the API server has.
func (p *pod) report(ctx context.Context, object *corev1.Pod) {
	changed := object.DeepCopy()
	p.fill(&changed.Status, container(object))
	if equality.Semantic.DeepEqual(object.Status, changed.Status) {
		return
	}
	if err := p.kubelet.client.Status().Patch(ctx, changed, client.MergeFrom(object)); err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.object == object { // not looked at since
			p.object = changed
		}
	}
}

// fill writes what the kubelet is the one to know.
func (p *pod) fill(s *corev1.PodStatus, c *corev1.Container) {
	s.Phase = corev1.PodRunning
	if p.running() == nil && p.state.restarts == 0 {
		s.Phase = corev1.PodPending
	}
	if s.StartTime == nil {
		s.StartTime = ptr.To(metav1.Now().Rfc3339Copy())
	}
	s.PodIP, s.PodIPs = p.ip.String(), []corev1.PodIP{{IP: p.ip.String()}}
	s.HostIP, s.HostIPs = p.kubelet.hostIP(), []corev1.HostIP{{IP: p.kubelet.hostIP()}}
	setCondition(s, corev1.PodReadyToStartContainers, true)
	setCondition(s, corev1.PodInitialized, true)
	setCondition(s, corev1.ContainersReady, p.probes.ready)
	setCondition(s, corev1.PodReady, p.probes.ready)
	status := corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: c.Image,
		Ready: p.probes.ready, Started: ptr.To(p.probes.started), RestartCount: p.state.restarts,
	}
	status.LastTerminationState.Terminated = p.state.last
	if now := p.running(); now != nil && p.state.waiting == nil {
		status.ContainerID = fmt.Sprintf("process://%d", now.cmd.Process.Pid)
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: p.state.startedAt}
	} else {
		status.State.Waiting = p.state.waiting
	}
	s.ContainerStatuses = []corev1.ContainerStatus{status}
}

func setCondition(s *corev1.PodStatus, kind corev1.PodConditionType, holds bool) {
	value := corev1.ConditionFalse
	if holds {
		value = corev1.ConditionTrue
	}
	for i := range s.Conditions {
		if c := &s.Conditions[i]; c.Type == kind {
			if c.Status != value {
				c.Status, c.LastTransitionTime = value, metav1.Now().Rfc3339Copy()
			}
			return
		}
	}
	s.Conditions = append(s.Conditions, corev1.PodCondition{Type: kind, Status: value, LastTransitionTime: metav1.Now().Rfc3339Copy()})
}
