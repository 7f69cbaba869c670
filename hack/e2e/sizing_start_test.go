//go:build e2e

package e2e_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const gatewayPods = "app.kubernetes.io/instance=edge,app.kubernetes.io/component=gateway"

// start is that of a new pod, by the clock of the test: conditions of pods have seconds only.
type start struct {
	name          string
	created       time.Time
	serves, ready time.Duration // from created to its own /readyz, and to the condition that the kubelet makes of it
}

// starts causes a pod to start, and waits until it is Ready.
func (m *measured) starts(t *testing.T, namespace, selector string, cause func()) *start {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	pods := m.kube.CoreV1().Pods(namespace)
	old, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	events, err := pods.Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: old.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	before := map[string]bool{}
	for _, p := range old.Items {
		before[p.Name] = true
	}
	cause()
	var s *start
	serving := make(chan time.Time, 1)
	for e := range events.ResultChan() {
		p, ok := e.Object.(*corev1.Pod)
		if !ok || before[p.Name] {
			continue
		}
		if s == nil {
			s = &start{name: p.Name, created: time.Now()}
			go func() { serving <- serves(ctx, m.kube, namespace, p.Name) }()
		}
		if p.Name == s.name && podReady(p) {
			s.ready = time.Since(s.created)
			s.serves = (<-serving).Sub(s.created)
			return s
		}
	}
	t.Fatalf("no new pod of %s in %s became Ready", selector, namespace)
	return nil
}

// serves waits until a pod says that it is ready, and returns when.
func serves(ctx context.Context, kube kubernetes.Interface, namespace, pod string) time.Time {
	_ = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := kube.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").Name(pod + ":8081").SubResource("proxy").Suffix("readyz").DoRaw(ctx)
		return err == nil, nil
	})
	return time.Now()
}

// notRestarted fails the test when a container of a namespace ended, as one does that has too little memory.
func (m *measured) notRestarted(ctx context.Context, t testing.TB, namespace string) {
	t.Helper()
	var pods corev1.PodList
	if m.c.List(ctx, &pods, client.InNamespace(namespace)) != nil {
		return
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if ended := c.LastTerminationState.Terminated; ended != nil {
				t.Fatalf("%s/%s ended: %s, exit code %d", namespace, p.Name, ended.Reason, ended.ExitCode)
			}
		}
	}
}
