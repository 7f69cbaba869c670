package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/kubetest"
)

// The pods are what a namespace takes that enforces the strictest standard.
func TestPodsAreOfTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	label := []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/enforce-version":"latest"}}}`)
	if err := r.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.ns}}, client.RawPatch(types.MergePatchType, label)); err != nil {
		t.Fatal(err)
	}
	r.gateway(t)
	r.becomesMade(t, everyGatewayHas)
	template := r.deployment(t).Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "by-hand", Labels: template.Labels}, Spec: template.Spec}
	if err := r.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Errorf("the namespace refuses a pod: %v", err)
	}
	pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "looser"}, Spec: template.Spec}
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	if err := r.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("the namespace takes everything, and so proves nothing: %v", err)
	}
}

func TestTroubleWithPodsIsSaidInWords(t *testing.T) {
	t.Parallel()
	waiting := func(reason string) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Image: "registry.example.org/calfed:v9", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
		}}}}
	}
	going := waiting("CrashLoopBackOff")
	going.DeletionTimestamp = &metav1.Time{}
	going.DeletionTimestamp.Time = going.CreationTimestamp.AddDate(1, 0, 0)
	for name, tt := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"none":                      {nil, ""},
		"starting":                  {[]corev1.Pod{waiting("ContainerCreating")}, ""},
		"the image cannot be had":   {[]corev1.Pod{waiting("ErrImagePull")}, "the image registry.example.org/calfed:v9 cannot be pulled"},
		"and still cannot":          {[]corev1.Pod{waiting("ImagePullBackOff")}, "the image registry.example.org/calfed:v9 cannot be pulled"},
		"it crashes":                {[]corev1.Pod{waiting("CrashLoopBackOff")}, "a pod ends again and again"},
		"a Secret is missing":       {[]corev1.Pod{waiting("CreateContainerConfigError")}, "a container cannot be made: CreateContainerConfigError"},
		"one that is going":         {[]corev1.Pod{going}, ""},
		"the second one is at odds": {[]corev1.Pod{{}, waiting("CrashLoopBackOff")}, "a pod ends again and again"},
		"no node": {[]corev1.Pod{{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"},
		}}}}, "no node takes a pod"},
	} {
		if got := podTrouble(tt.pods); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
