package kubetest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/kubetest"
)

const deployment = `
apiVersion: v1
kind: Secret
metadata: {name: config}
stringData: {value: one}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: program}
spec:
  replicas: %d
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: program}}
  template:
    metadata: {labels: {app: program}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: program
          image: example.org/program
          command: [%q]
          args: [--addr, ":8080", --data=/var/lib/program, --config, /etc/program/value, --token, /var/run/secrets/kubernetes.io/serviceaccount/token]
          env:
            - {name: KUBETEST_PROGRAM, value: "yes"}
            - {name: KUBETEST_MARK, value: %q}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
          ports: [{name: http, containerPort: 8080}]
          resources: {limits: {memory: 64Mi}}
          readinessProbe: {failureThreshold: 1, httpGet: {path: /ready, port: http}}
          livenessProbe: {failureThreshold: 1, periodSeconds: 1, httpGet: {path: /starts, port: http}}
          volumeMounts:
            - {name: config, mountPath: /etc/program}
            - {name: data, mountPath: /var/lib/program}
      volumes:
        - {name: config, secret: {secretName: config}}
        - {name: data, emptyDir: {medium: Memory}}
`

// rig is a namespace with a kubelet and the program.
type rig struct {
	*kubetest.Cluster
	t         *testing.T
	namespace string
	kubelet   *kubetest.Kubelet
}

func newRig(t *testing.T, c *kubetest.Cluster, replicas int) *rig {
	t.Helper()
	r := &rig{Cluster: c, t: t, namespace: c.Namespace(t)}
	r.kubelet = c.Kubelet(t, r.namespace)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.Kubectl(t, fmt.Sprintf(deployment, replicas, self, os.Getenv(mark)), "apply", "-n", r.namespace, "-f", "-")
	r.Kubectl(t, "", "rollout", "status", "-n", r.namespace, "deployment/program", "--timeout=60s")
	return r
}

func (r *rig) pods() []corev1.Pod {
	r.t.Helper()
	var list corev1.PodList
	if err := r.Client.List(r.t.Context(), &list, client.InNamespace(r.namespace)); err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

// ask returns the body of an answer, or "" when there is none.
func (r *rig) ask(ctx context.Context, pod *corev1.Pod, method, path string) string {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+pod.Status.PodIP+":8080"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// is waits until the pod is as wanted; the pod is then what was seen.
func (r *rig) is(pod *corev1.Pod, what string, want func() bool) {
	r.t.Helper()
	eventually(r.t, what, func(ctx context.Context) bool {
		return r.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod) == nil && want()
	})
}

func TestPodOfADeploymentRunsAProcess(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 2)
	pods := r.pods()
	if len(pods) != 2 || pods[0].Status.PodIP == pods[1].Status.PodIP {
		t.Fatalf("%d pods, want two of different addresses", len(pods))
	}
	for i := range pods {
		want := fmt.Sprintf("%s %d 6443", pods[i].Name, 64<<20)
		if got := r.ask(t.Context(), &pods[i], "GET", "/env"); got != want {
			t.Errorf("environment: %q, want %q", got, want)
		}
		if got := r.ask(t.Context(), &pods[i], "GET", "/config"); got != "one" {
			t.Errorf("the Secret's volume shows %q", got)
		}
	}
	r.Kubectl(t, "", "patch", "-n", r.namespace, "secret", "config", "-p", `{"stringData":{"value":"two"}}`)
	eventually(t, "the volume does not follow the Secret", func(ctx context.Context) bool {
		return r.ask(ctx, &pods[0], "GET", "/config") == "two"
	})
}

func TestPodsTokenIsItsServiceAccounts(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	pods := r.pods()
	config := rest.AnonymousClientConfig(r.Config)
	config.BearerToken = r.ask(t.Context(), &pods[0], "GET", "/token")
	as, err := client.New(config, client.Options{Scheme: r.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	err = as.List(t.Context(), &corev1.SecretList{}, client.InNamespace(r.namespace))
	if want := "system:serviceaccount:" + r.namespace + ":default"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("listing Secrets: %v, want a refusal of %s", err, want)
	}
}

func TestDeletionOfAPodEndsItsProcess(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	pod := r.pods()[0]
	if err := r.Client.Delete(t.Context(), &pod); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is still there", func(ctx context.Context) bool {
		var now corev1.Pod
		err := r.Client.Get(ctx, client.ObjectKeyFromObject(&pod), &now)
		return client.IgnoreNotFound(err) == nil && now.UID == ""
	})
	if got := r.kubelet.Logs(pod.Name); !strings.Contains(got, "asked to end") {
		t.Errorf("the process wrote %q", got)
	}
	if got := r.ask(t.Context(), &pod, "GET", "/env"); got != "" {
		t.Errorf("the deleted pod answers %q", got)
	}
}

func TestRestartKeepsEmptyDirectories(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	pod := r.pods()[0]
	r.kubelet.Restart(t, pod.Name)
	r.is(&pod, "it becomes not ready again", func() bool {
		s := pod.Status.ContainerStatuses
		return ready(&pod) && len(s) == 1 && s[0].RestartCount == 1
	})
	if got := r.ask(t.Context(), &pod, "GET", "/starts"); got != ".." {
		t.Errorf("%d starts noted in the emptyDir, want 2", len(got))
	}
}

func TestFrozenPodIsNotReadyAndNotStartedAgain(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	pod := r.pods()[0]
	r.kubelet.Freeze(t, pod.Name)
	r.is(&pod, "a frozen pod stays ready", func() bool { return !ready(&pod) })
	// longer than its liveness probe would let it be: two probes time out, twice
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := r.Client.Get(ctx, client.ObjectKeyFromObject(&pod), &pod)
		return err == nil && pod.Status.ContainerStatuses[0].RestartCount != 0, nil
	})
	r.kubelet.Thaw(t, pod.Name)
	r.is(&pod, "a thawed pod is not ready", func() bool { return ready(&pod) })
	if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 || strings.Contains(r.kubelet.Logs(pod.Name), "asked to end") {
		t.Errorf("it was started again (%d times): %s", n, r.kubelet.Logs(pod.Name))
	}
}

func TestReadinessProbeDecides(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	pod := r.pods()[0]
	r.ask(t.Context(), &pod, "POST", "/busy")
	r.is(&pod, "an unready process has a ready pod", func() bool { return !ready(&pod) })
}

func TestRollingUpdateReplacesPods(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), 1)
	before := r.pods()[0]
	r.Kubectl(t, "", "rollout", "restart", "-n", r.namespace, "deployment/program")
	r.Kubectl(t, "", "rollout", "status", "-n", r.namespace, "deployment/program", "--timeout=60s")
	eventually(t, "the old pod stays", func(ctx context.Context) bool {
		after := r.pods()
		return len(after) == 1 && after[0].UID != before.UID
	})
}

func TestProcessRunsOnWithoutAPIServer(t *testing.T) {
	r := newRig(t, kubetest.New(t, kubetest.Options{ControllerManager: true}), 1)
	pod := r.pods()[0]
	r.StopAPIServer(t)
	if got := r.ask(t.Context(), &pod, "GET", "/starts"); got != "." {
		t.Errorf("without API server it answers %q", got)
	}
	r.StartAPIServer(t)
	r.is(&pod, "the pod is not ready", func() bool { return ready(&pod) })
	if uid := r.pods()[0].UID; uid != pod.UID {
		t.Error("there is another pod")
	}
}
