package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/gateway/snapshot"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch

// snapshotPods asks the pods of gateways what they serve.
type snapshotPods struct{ *snapshots }

// When and how pods are asked.
const (
	askFirst    = 200 * time.Millisecond // after a write, then ever more rarely …
	askLast     = 5 * time.Second
	askSeldom   = time.Minute // … and, when all are as they should be
	askTimeout  = 3 * time.Second
	askAtOnce   = 16
	podsAtOnce  = 8 // gateways
	maxRejected = 3 // are told of
)

func setupSnapshotPods(mgr manager.Manager, r *snapshots) error {
	c, err := controller.New("snapshot-pods", mgr, controller.Options{
		Reconciler:              snapshotPods{r},
		MaxConcurrentReconciles: podsAtOnce,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](askFirst, askLast),
	})
	if err != nil {
		return err
	}
	gatewayOfPod := func(_ context.Context, p *corev1.Pod) []reconcile.Request {
		name := types.NamespacedName{Namespace: p.Namespace, Name: p.Labels[labelInstance]}
		return []reconcile.Request{{NamespacedName: name}}
	}
	if err := c.Watch(source.Kind(r.cache, &corev1.Pod{}, handler.TypedEnqueueRequestsFromMapFunc(gatewayOfPod))); err != nil {
		return err
	}
	request := func(_ context.Context, name types.NamespacedName) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: name}}
	}
	return c.Watch(source.Channel(r.pods, handler.TypedEnqueueRequestsFromMapFunc(request)))
}

// Reconcile asks the pods of a gateway, and posts what they say.
func (r snapshotPods) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	st, ok := r.existing(req.NamespacedName)
	if !ok {
		return reconcile.Result{}, nil // compiled first
	}
	var list corev1.PodList
	if err := r.cache.List(ctx, &list, client.InNamespace(req.Namespace), client.MatchingLabels{labelInstance: req.Name}); err != nil {
		return reconcile.Result{}, err
	}
	answers := r.ask(ctx, st, list.Items)
	if ctx.Err() != nil {
		return reconcile.Result{}, ctx.Err()
	}
	st.work.Lock()
	defer st.work.Unlock()
	if st.settings == nil {
		return reconcile.Result{}, nil // compiled first, and then this is called again
	}
	st.pods.take(list.Items, answers, st.stored)
	st.asked = true
	for number := range snapshot.Shards {
		st.history.prune(number, func(sha string) bool { return st.keeps(number, sha) })
	}
	r.post(ctx, st)
	return reconcile.Result{RequeueAfter: st.pods.again(st.stored)}, nil
}

// existing returns the state of a gateway that was compiled.
func (r *snapshots) existing(name types.NamespacedName) (*gatewayState, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st, ok := r.gateways[name]
	return st, ok
}

// keeps says whether a state of a shard is stored, or served by a pod.
func (st *gatewayState) keeps(number int, sha string) bool {
	if st.stored != nil && st.stored.shards[number] != nil && st.stored.shards[number].sha == sha {
		return true
	}
	for _, p := range st.pods.seen {
		if p.shards[number] == sha {
			return true
		}
	}
	return false
}

// answer is what a pod said.
type answer struct {
	status snapshot.PodStatus
	err    error
}

// ask asks all pods that run.
func (r snapshotPods) ask(ctx context.Context, st *gatewayState, list []corev1.Pod) map[types.UID]answer {
	out := make(map[types.UID]answer, len(list))
	running := slices.DeleteFunc(slices.Clone(list), func(p corev1.Pod) bool { return !mayServe(&p) })
	if len(running) == 0 {
		return out
	}
	asking, err := r.askers.client(ctx, st.name)
	answers := make([]answer, len(running))
	var g errgroup.Group
	g.SetLimit(askAtOnce)
	for i := range running {
		g.Go(func() error {
			if err != nil {
				answers[i].err = err
				return nil
			}
			addr, parseErr := netip.ParseAddr(running[i].Status.PodIP)
			if parseErr != nil {
				answers[i].err = errors.New("unreachable: the pod has no address")
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			answers[i].status, answers[i].err = asking.Status(ctx, addr)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	for i := range running {
		out[running[i].UID] = answers[i]
	}
	return out
}

// mayServe says whether a process may run in the pod.
func mayServe(p *corev1.Pod) bool {
	if p.Status.PodIP == "" || p.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated == nil {
			return true
		}
	}
	return len(p.Status.ContainerStatuses) == 0
}

// starts says whether the process was never up: it has served nobody yet.
func starts(p *corev1.Pod) bool {
	return len(p.Status.ContainerStatuses) > 0 && !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.RestartCount > 0 || c.Started == nil || *c.Started
	})
}

// podSet is what is known of the pods of a gateway.
type podSet struct {
	seen  map[types.UID]*podSeen
	delay time.Duration // before the next question
	wrote uint64        // serial that the delay is for
}

// podSeen is what is known of a pod.
type podSeen struct {
	name    string
	counts  bool           // it may serve somebody
	newest  bool           // it serves the newest index and all it names
	problem string         // why not, "" = it is on the way
	shards  map[int]string // hashes of what it serves, nil = nothing yet
}

// take notes what pods said. Those that are gone are forgotten.
func (s *podSet) take(list []corev1.Pod, answers map[types.UID]answer, cluster *stored) {
	before := s.seen
	s.seen = make(map[types.UID]*podSeen, len(list))
	for i := range list {
		p := &list[i]
		if !mayServe(p) {
			if p.DeletionTimestamp.IsZero() && p.Status.Phase == corev1.PodPending {
				s.seen[p.UID] = &podSeen{name: p.Name}
			}
			continue
		}
		seen := &podSeen{name: p.Name, counts: true}
		if was := before[p.UID]; was != nil {
			seen.shards = was.shards // it never goes back
		}
		a := answers[p.UID]
		switch {
		case a.err != nil && seen.shards == nil && starts(p):
			seen.counts = false
		case a.err != nil:
			seen.problem = a.err.Error()
		default:
			seen.hear(a.status, cluster)
		}
		s.seen[p.UID] = seen
	}
}

func (p *podSeen) hear(status snapshot.PodStatus, cluster *stored) {
	p.shards = nil
	if status.IndexUID == "" && len(status.Shards) == 0 {
		p.counts = false // it answers nobody before its first snapshot
	} else {
		p.shards = make(map[int]string, len(status.Shards))
		for _, ref := range status.Shards {
			p.shards[ref.Number] = ref.SHA256
		}
	}
	p.newest = cluster != nil && cluster.index != nil && status.IndexUID == cluster.index.uid &&
		status.Serial == cluster.index.index.Serial && p.serves(cluster.index.index.Shards)
	if !p.newest {
		p.problem = status.Blind
	}
	if !p.newest && len(status.Rejected) > 0 {
		var texts []string
		for _, rejected := range status.Rejected[:min(len(status.Rejected), maxRejected)] {
			texts = append(texts, fmt.Sprintf("Secret %s: %s", rejected.Secret, rejected.Problem))
		}
		p.problem = "rejects " + strings.Join(texts, "; ")
	}
}

func (p *podSeen) serves(refs []snapshot.ShardRef) bool {
	if len(refs) != len(p.shards) {
		return false
	}
	for _, ref := range refs {
		if p.shards[ref.Number] != ref.SHA256 {
			return false
		}
	}
	return true
}

// again says when to ask again.
func (s *podSet) again(cluster *stored) time.Duration {
	serial := uint64(0)
	if cluster != nil && cluster.index != nil {
		serial = cluster.index.index.Serial
	}
	for _, p := range s.seen {
		if p.newest {
			continue
		}
		if s.wrote != serial || s.delay == 0 {
			s.wrote, s.delay = serial, askFirst
		} else {
			s.delay = min(2*s.delay, askLast)
		}
		return s.delay
	}
	s.delay = 0
	return askSeldom
}

func (s *podSet) posts() []board.Pod {
	var out []board.Pod
	for _, p := range s.seen {
		out = append(out, p.post())
	}
	slices.SortFunc(out, comparePods)
	return out
}

// program finds out whether every pod serves the domain, and says whether that changed. A domain that was programmed stays so
// while its hash does: pods never go back, and new ones start with the newest.
func (s *podSet) program(h *history, shard int, d *domainState) bool {
	if d.programmed && d.written {
		d.blocking = nil
		return false
	}
	was := d.programmed
	d.programmed, d.blocking = false, nil
	count := 0
	for _, p := range s.seen {
		if !p.counts {
			continue
		}
		count++
		if d.hash != "" && p.shards != nil && h[shard][p.shards[shard]][d.domain] == d.hash {
			continue
		}
		why := p.problem
		if why == "" {
			why = "has not taken it over yet"
		}
		d.blocking = append(d.blocking, blocked(p.name, why))
	}
	slices.Sort(d.blocking)
	d.programmed = d.written && count > 0 && len(d.blocking) == 0
	return was != d.programmed
}

// explainMissing says why pods cannot be asked.
func explainMissing(err error, secret string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("unreachable: Secret %s with the authority of the pods' certificates is not there yet", secret)
	}
	return fmt.Errorf("unreachable: %w", err)
}
