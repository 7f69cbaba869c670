package secretsource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	requestTimeout = 15 * time.Second
	watchFor       = 5 * time.Minute // and up to twice that: then it begins anew, in case something was lost
	longestPause   = 5 * time.Second
)

// pauses are those between attempts. All pods of a gateway make them at once: the jitter takes them apart.
func pauses() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 20, Cap: longestPause}
}

// sleep waits; false = ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// watch keeps the newest index up to date until ctx ends. While there is no API server, nothing changes.
func (s *Source) watch(ctx context.Context) {
	pause := pauses()
	lost := false
	for ctx.Err() == nil {
		var connected time.Time
		err := s.follow(ctx, func() {
			connected = time.Now()
			s.metrics.connected.Set(1)
			s.blinded("")
			if lost {
				s.log.Info("the API server is there again")
			}
			lost = false
		})
		if err != nil && ctx.Err() == nil {
			s.metrics.connected.Set(0)
			s.blinded(blindness(err))
			if !lost {
				s.log.Warn("the index cannot be watched: what is served stays", "reason", "api-server", "error", err)
			}
			lost = true
		}
		if !connected.IsZero() && time.Since(connected) > longestPause {
			pause = pauses()
		}
		if !sleep(ctx, pause.Step()) {
			return
		}
	}
}

// blindness says why the index cannot be watched, in words that stay the same while it lasts.
func blindness(err error) string {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return "the API server does not let it read its snapshot: look at the gateway's ServiceAccount, Role and RoleBinding"
	}
	return "it does not reach the API server: look at the network between them; where networkPolicy.egress is Enabled, the operator must know " +
		"all addresses of the API server (calfed manager --api-server-addrs)"
}

func (s *Source) blinded(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = why
}

// follow reads the index and watches it for a while.
func (s *Source) follow(ctx context.Context, connected func()) error {
	name := snapshot.IndexName(s.cfg.Name)
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	listing, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := s.secrets.List(listing, metav1.ListOptions{FieldSelector: only})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 {
		s.log.Info("there is no index yet", "secret", name)
	}
	for i := range list.Items {
		s.publish(&list.Items[i])
	}
	timeout := int64(watchFor.Seconds()) + rand.Int64N(int64(watchFor.Seconds()))
	events, err := s.secrets.Watch(ctx, metav1.ListOptions{
		FieldSelector: only, ResourceVersion: list.ResourceVersion, AllowWatchBookmarks: true, TimeoutSeconds: &timeout,
	})
	if err != nil {
		return err
	}
	defer events.Stop()
	connected()
	for event := range events.ResultChan() {
		switch object := event.Object.(type) {
		case *corev1.Secret:
			switch event.Type {
			case watch.Added, watch.Modified:
				s.publish(object)
			case watch.Deleted:
				s.log.Warn("the index is gone: what is served stays", "secret", name)
			}
		case *metav1.Status:
			if err := apierrors.FromObject(object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
				return fmt.Errorf("watch: %w", err)
			}
			return nil
		default:
			return errors.New("watch: something other than a Secret")
		}
	}
	return nil
}

// publish makes an index the newest.
func (s *Source) publish(index *corev1.Secret) {
	s.mu.Lock()
	s.newest = index
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default: // work has not looked yet
	}
}
