package kubetest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Kubelet runs the pods of a namespace. Of each it runs one container, as a process with the container's arguments and
// environment alone; what differs from a cluster is in the arguments:
//
//   - a listen address ":8443" gets the pod's address;
//   - a path under a mount becomes the folder that the volume is (emptyDir, secret, configMap, projected, downwardAPI);
//   - calfed gets --kubeconfig with the token and the CA that are mounted where an in-cluster client looks for them, if they are;
//   - --drain-delay and a preStop sleep, which wait for load balancers that are not here, are cut to a second.
//
// A container without command, or with the command calfed, runs ./cmd/calfed, built with the race detector; another command is
// run as it stands. Probes (httpGet) are asked every 200 ms; start-up and liveness ones give up after failureThreshold × periodSeconds,
// readiness counts as its spec says. A race or a panic that a calfed process reports fails the test.
type Kubelet struct {
	t         testing.TB
	cluster   *Cluster
	client    client.Client // of the node's user
	namespace string
	node      string

	mu   sync.Mutex
	pods map[types.UID]*pod
	logs map[string][]string // by pod name, the files; a name may come again
}

const (
	syncPeriod  = 100 * time.Millisecond
	probePeriod = 200 * time.Millisecond
	maxGrace    = 10 * time.Second
)

// Kubelet runs pods of a namespace until the end of the test: for every pod of a Deployment that has a container with the command
// calfed gateway it starts the real process, on a loopback address of its own, which is the pod's address; the volumes, the token and
// the ports are those of the pod; its probes decide about its conditions; deleting the pod sends SIGTERM and, after the grace
// period (of 10 s at most), kills. It needs Options.ControllerManager.
func (c *Cluster) Kubelet(t testing.TB, namespace string) *Kubelet {
	t.Helper()
	if !c.opt.ControllerManager {
		t.Fatal("kubetest: a Kubelet needs Options.ControllerManager: nobody else makes pods")
	}
	k := &Kubelet{
		t: t, cluster: c, namespace: namespace, node: "node-" + namespace,
		pods: map[types.UID]*pod{}, logs: map[string][]string{},
	}
	user, err := c.env.AddUser(envtest.User{Name: "system:node:" + k.node, Groups: []string{"system:masters"}}, &rest.Config{QPS: 1000, Burst: 2000})
	if err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	if k.client, err = client.New(user.Config(), client.Options{Scheme: c.env.Scheme}); err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: k.node}}
	if err := k.client.Create(context.Background(), node); err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		k.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
		k.leave(node)
	})
	return k
}

func (k *Kubelet) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(syncPeriod)
	defer tick.Stop()
	for {
		k.sync(ctx, &running)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sync looks at the namespace's pods once. When the API server does not answer, what runs runs on.
func (k *Kubelet) sync(lifetime context.Context, running *sync.WaitGroup) {
	ctx, cancel := context.WithTimeout(lifetime, maxGrace)
	defer cancel()
	var list corev1.PodList
	if err := k.client.List(ctx, &list, client.InNamespace(k.namespace)); err != nil {
		return
	}
	present := map[types.UID]bool{}
	for i := range list.Items {
		object := &list.Items[i]
		present[object.UID] = true
		switch p := k.byUID(object.UID); {
		case p != nil:
			p.update(object)
		case object.DeletionTimestamp != nil:
			_ = k.remove(ctx, object)
		case object.Spec.NodeName == "":
			_ = k.bind(ctx, object) // again at the next look
		case object.Spec.NodeName == k.node:
			k.take(lifetime, object, running)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for uid, p := range k.pods {
		if !present[uid] {
			p.update(nil)
		}
	}
}

func (k *Kubelet) byUID(uid types.UID) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[uid]
}

func (k *Kubelet) bind(ctx context.Context, object *corev1.Pod) error {
	return k.client.SubResource("binding").Create(ctx, object, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: k.node}})
}

// remove takes away the object of a pod that has ended.
func (k *Kubelet) remove(ctx context.Context, object *corev1.Pod) error {
	err := k.client.Delete(ctx, object, client.GracePeriodSeconds(0), client.Preconditions{UID: &object.UID})
	return client.IgnoreNotFound(err)
}

// take starts a pod.
func (k *Kubelet) take(ctx context.Context, object *corev1.Pod, running *sync.WaitGroup) {
	p, err := newPod(k, object)
	if err != nil {
		k.t.Errorf("kubetest: pod %s: %v", object.Name, err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods[p.uid] = p
	k.logs[p.name] = append(k.logs[p.name], p.log)
	running.Go(func() {
		p.run(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.pods, p.uid)
	})
}

// leave removes the node and its pods; those that the ReplicaSets make then are bound to no node, so that the namespace can end.
func (k *Kubelet) leave(node *corev1.Node) {
	if !k.cluster.stopped {
		_ = k.client.DeleteAllOf(context.Background(), &corev1.Pod{}, client.InNamespace(k.namespace), client.GracePeriodSeconds(0))
		_ = k.client.Delete(context.Background(), node)
	}
	for _, name := range slices.Sorted(maps.Keys(k.logs)) {
		text := k.Logs(name)
		if strings.Contains(text, "WARNING: DATA RACE") || strings.Contains(text, "\npanic: ") {
			k.t.Errorf("the process of pod %s failed:\n%s", name, text)
		} else if k.t.Failed() {
			k.t.Logf("pod %s wrote:\n%s", name, tail(text, 30))
		}
	}
}

// named returns the running pod of a name.
func (k *Kubelet) named(t testing.TB, name string) *pod {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no pod %s runs here", name)
	return nil
}

// Restart kills the process of a pod's container and starts it again in the same pod: its emptyDir volumes stay.
func (k *Kubelet) Restart(t testing.TB, pod string) {
	t.Helper()
	p := k.named(t, pod)
	before := p.kill()
	if before == nil {
		t.Fatalf("pod %s has no process", pod)
	}
	err := k.cluster.eventually(func(context.Context) error {
		if now := p.running(); now == nil || now == before {
			return fmt.Errorf("pod %s has no new process", pod)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Freeze stops a pod's process (SIGSTOP), so that it answers nobody; Thaw lets it go on. Its liveness probe does not count
// meanwhile.
func (k *Kubelet) Freeze(t testing.TB, pod string) {
	t.Helper()
	k.signal(t, pod, syscall.SIGSTOP)
}

// Thaw lets a frozen pod go on.
func (k *Kubelet) Thaw(t testing.TB, pod string) {
	t.Helper()
	k.signal(t, pod, syscall.SIGCONT)
}

func (k *Kubelet) signal(t testing.TB, pod string, signal syscall.Signal) {
	t.Helper()
	if err := k.named(t, pod).signal(signal); err != nil {
		t.Fatalf("pod %s: %v", pod, err)
	}
}

// Logs returns what a pod's processes wrote, also after the pod has gone.
func (k *Kubelet) Logs(pod string) string {
	k.mu.Lock()
	files := slices.Clone(k.logs[pod])
	k.mu.Unlock()
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has written nothing
		}
		b.Write(text)
	}
	return b.String()
}
