package controllers

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// available says whether a Deployment has enough pods that answer, by its own account.
func available(d *appsv1.Deployment) bool {
	c := deploymentCondition(d, appsv1.DeploymentAvailable)
	return c != nil && c.Status == corev1.ConditionTrue
}

func deploymentCondition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	if d == nil {
		return nil
	}
	i := slices.IndexFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &d.Status.Conditions[i]
}

// rolledOut says whether all pods are of the newest template and answer, and no older one is left.
func rolledOut(d *appsv1.Deployment) bool {
	if d == nil || d.Spec.Replicas == nil {
		return false
	}
	s := &d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.Replicas == s.UpdatedReplicas && s.AvailableReplicas == s.UpdatedReplicas
}

// deploymentTrouble is what a Deployment itself says: pods that may not be made, or take too long.
func deploymentTrouble(d *appsv1.Deployment) string {
	if c := deploymentCondition(d, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		return c.Message
	}
	if c := deploymentCondition(d, appsv1.DeploymentProgressing); c != nil && c.Status == corev1.ConditionFalse {
		return c.Message
	}
	return ""
}

// podTrouble is what the oldest pod waits for that has trouble, in words that stay the same while it lasts; "" when none has.
func podTrouble(pods []corev1.Pod) string {
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for i := range pods {
		if why := troubleOf(&pods[i]); why != "" {
			return why
		}
	}
	return ""
}

func troubleOf(p *corev1.Pod) string {
	if !p.DeletionTimestamp.IsZero() {
		return ""
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "no node takes a pod"
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		waiting := c.State.Waiting
		if waiting == nil {
			continue
		}
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
			return fmt.Sprintf("the image %s cannot be pulled", c.Image)
		case "CrashLoopBackOff":
			return "a pod ends again and again"
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return "a container cannot be made: " + waiting.Reason
		}
	}
	return ""
}
