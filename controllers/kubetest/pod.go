package kubetest

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is one pod that a Kubelet runs. Its own goroutine does everything but what is under mu.
type pod struct {
	kubelet *Kubelet
	uid     types.UID
	name    string
	ip      netip.Addr
	dir     string
	log     string
	wake    chan struct{} // the object changed

	volumes   volumes
	probes    probes
	nextStart time.Time
	nextLook  time.Time // at what the volumes show
	state     state

	mu      sync.Mutex
	object  *corev1.Pod // nil = gone
	process *process
	frozen  bool
	again   bool // Restart: without delay
}

// state is what a container status says.
type state struct {
	startedAt metav1.Time
	restarts  int32
	waiting   *corev1.ContainerStateWaiting // nil = it runs
	last      *corev1.ContainerStateTerminated
}

func newPod(k *Kubelet, object *corev1.Pod) (*pod, error) {
	p := &pod{
		kubelet: k, uid: object.UID, name: object.Name, object: object,
		dir:  k.cluster.path(filepath.Join("pods", string(object.UID))),
		wake: make(chan struct{}, 1),
	}
	p.log = filepath.Join(p.dir, "log")
	p.state.waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	p.volumes = volumes{pod: p, dir: filepath.Join(p.dir, "volumes")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	p.ip, err = k.cluster.net.lease()
	return p, err
}

// update takes the pod's object as it is now; nil when it is gone.
func (p *pod) update(object *corev1.Pod) {
	p.mu.Lock()
	p.object = object
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pod) current() (*corev1.Pod, *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object, p.process
}

// run leads the pod until its object is gone or the kubelet ends.
func (p *pod) run(ctx context.Context) {
	defer p.kubelet.cluster.net.release(p.ip)
	defer p.kill()
	tick := time.NewTicker(probePeriod)
	defer tick.Stop()
	for {
		object, _ := p.current()
		if object == nil {
			return
		}
		if object.DeletionTimestamp != nil {
			p.terminate(ctx, object)
			return
		}
		p.step(ctx, object)
		p.report(ctx, object)
		var ended <-chan struct{}
		if now := p.running(); now != nil {
			ended = now.done
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.wake:
		case <-ended:
		}
	}
}

// step does what is due: start the process, note its end, ask the probes, renew the volumes.
func (p *pod) step(ctx context.Context, object *corev1.Pod) {
	now := p.running()
	if now == nil {
		p.startWhenDue(ctx, object)
		return
	}
	select {
	case <-now.done:
		p.noteEnd(now)
		return
	default:
	}
	if time.Now().After(p.nextLook) {
		_ = p.volumes.renew(ctx, object) // what was there stays while it cannot be had
		p.nextLook = time.Now().Add(time.Second)
	}
	if p.probes.ask(ctx, p, container(object)) == dead {
		now.end(maxGrace)
	}
}

func (p *pod) startWhenDue(ctx context.Context, object *corev1.Pod) {
	if time.Now().Before(p.nextStart) {
		return
	}
	err := p.volumes.renew(ctx, object)
	if err == nil {
		err = p.start(ctx, object)
	}
	if err != nil {
		p.state.waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerError", Message: err.Error()}
		p.nextStart = time.Now().Add(probePeriod)
		if errors.Is(err, errHopeless) {
			p.kubelet.t.Errorf("kubetest: pod %s: %v", p.name, err)
			p.nextStart = time.Now().Add(time.Hour)
		}
	}
}

func (p *pod) start(ctx context.Context, object *corev1.Pod) error {
	cmd, err := p.command(ctx, object)
	if err != nil {
		return err
	}
	started, err := run(cmd, p.log)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.process, p.frozen = started, false
	p.mu.Unlock()
	p.probes = probes{}
	p.state.waiting, p.state.startedAt = nil, metav1.Now().Rfc3339Copy()
	return nil
}

// noteEnd notes that the process has ended, and when the next one is due.
func (p *pod) noteEnd(ended *process) {
	p.probes = probes{}
	p.state.last = &corev1.ContainerStateTerminated{
		ExitCode: int32(ended.cmd.ProcessState.ExitCode()), Reason: "Error",
		StartedAt: p.state.startedAt, FinishedAt: metav1.Now().Rfc3339Copy(),
	}
	if status, ok := ended.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.state.last.ExitCode = 128 + int32(status.Signal())
	}
	if p.state.last.ExitCode == 0 {
		p.state.last.Reason = "Completed"
	}
	p.state.waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	p.nextStart = time.Now().Add(probePeriod << min(p.state.restarts, 5))
	p.state.restarts++
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process = nil; p.again {
		p.again, p.nextStart = false, time.Time{}
	}
}

// terminate ends the process as the kubelet does, and removes the object.
func (p *pod) terminate(ctx context.Context, object *corev1.Pod) {
	if now := p.running(); now != nil {
		grace := maxGrace
		if g := object.DeletionGracePeriodSeconds; g != nil {
			grace = min(grace, time.Duration(*g)*time.Second)
		}
		p.preStop(ctx, container(object))
		now.end(grace)
	}
	_ = p.kubelet.cluster.eventually(func(context.Context) error {
		if ctx.Err() != nil {
			return nil
		}
		return p.kubelet.remove(ctx, object)
	})
}

// preStop sleeps, for a second at most: it waits for load balancers that are not here.
func (p *pod) preStop(ctx context.Context, c *corev1.Container) {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return
	}
	timer := time.NewTimer(min(time.Second, time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (p *pod) running() *process {
	_, now := p.current()
	return now
}

// kill ends the process at once, and returns it; a new one follows without delay.
func (p *pod) kill() *process {
	p.mu.Lock()
	now := p.process
	p.again = now != nil
	p.mu.Unlock()
	if now != nil {
		now.kill()
	}
	return now
}

func (p *pod) signal(signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return errors.New("it has no process")
	}
	p.frozen = signal == syscall.SIGSTOP
	return p.process.cmd.Process.Signal(signal)
}

func (p *pod) isFrozen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frozen
}
