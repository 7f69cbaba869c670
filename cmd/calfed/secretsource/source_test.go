package secretsource_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/cmd/calfed/secretsource"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// A pod without a snapshot waits; the first one makes it ready, and what changes reaches it within two seconds. The rights of the
// pods' Role are enough.
func TestChangesReachTheGateway(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	pod := p.startPod(t.TempDir())
	eventually(t, "the API server is asked", func() bool { return pod.metric("calfed_snapshot_source_connected") == "1" })
	if ready, _ := pod.ready(); ready {
		t.Error("ready without a snapshot")
	}
	names := apart(3)
	one, oneRecord := p.domain(names[0], 1)
	two, twoRecord := p.domain(names[1], 1)
	p.serve(one, two)
	pod.serves(&p.index)
	if ready, stale := pod.ready(); !ready || stale != "" {
		t.Errorf("ready %v, stale %q", ready, stale)
	}
	want := map[string]string{names[0]: oneRecord, names[1]: twoRecord, names[2]: ""}
	got := func() map[string]string {
		return map[string]string{names[0]: pod.record(names[0]), names[1]: pod.record(names[1]), names[2]: pod.record(names[2])}
	}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	status := pod.source.Status()
	if diff := cmp.Diff(snapshot.PodStatus{IndexUID: p.uid(), Serial: 1, Shards: p.index.Shards}, status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	begun := time.Now()
	one, want[names[0]] = p.domain(names[0], 2)
	three, threeRecord := p.domain(names[2], 1)
	want[names[2]] = threeRecord
	delete(p.shards, snapshot.ShardOf(two.Name)) // the domain is gone
	want[names[1]] = ""
	p.serve(one, three)
	pod.serves(&p.index)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("a change took %s", took)
	}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if serial := pod.metric("calfed_snapshot_index_serial"); serial != "2" {
		t.Errorf("calfed_snapshot_index_serial %s", serial)
	}
}

// A pod can read its own snapshot and nothing else, and write nothing.
func TestRoleOfPodsIsNarrow(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	domain, _ := p.domain(apart(1)[0], 1)
	p.serve(domain)
	p.put("other", "key", []byte("secret"))
	core, err := corev1client.NewForConfig(p.cluster.As(t, p.namespace, gatewayName))
	check(t, err)
	secrets, ctx, index := core.Secrets(p.namespace), context.Background(), snapshot.IndexName(gatewayName)
	read, err := secrets.Get(ctx, index, metav1.GetOptions{})
	check(t, err)
	for what, try := range map[string]func() error{
		"another Secret": func() error { _, err := secrets.Get(ctx, "other", metav1.GetOptions{}); return err },
		"all Secrets":    func() error { _, err := secrets.List(ctx, metav1.ListOptions{}); return err },
		"watching shards": func() error {
			only := metav1.ListOptions{FieldSelector: "metadata.name=" + snapshot.ShardName(gatewayName, 0)}
			_, err := secrets.Watch(ctx, only)
			return err
		},
		"writing the index": func() error { _, err := secrets.Update(ctx, read, metav1.UpdateOptions{}); return err },
		"making a Secret": func() error {
			_, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{})
			return err
		},
		"removing the index": func() error { return secrets.Delete(ctx, index, metav1.DeleteOptions{}) },
		"another namespace":  func() error { _, err := core.Secrets("default").Get(ctx, index, metav1.GetOptions{}); return err },
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What is broken is refused and told; the snapshot before is served on; one that is whole again is served.
func TestBrokenSnapshotsAreRefused(t *testing.T) {
	t.Parallel()
	names := apart(2)
	shard := snapshot.ShardName(gatewayName, snapshot.ShardOf(names[0]))
	index := snapshot.IndexName(gatewayName)
	for _, tt := range []struct {
		name, reason, secret string
		serial               uint64
		poison               func(p *plane, changed snapshot.Domain)
	}{
		{"a shard that is none", "shard-unreadable", shard, 2, func(p *plane, changed snapshot.Domain) {
			p.set(changed)
			p.put(shard, snapshot.ShardKey, []byte("garbage"))
			p.writeIndex()
		}},
		{"a shard with another content than its hash says", "shard-mismatch", shard, 2, func(p *plane, changed snapshot.Domain) {
			number := p.set(changed)[0]
			p.writeShard(number)
			other, _ := p.domain(changed.Name, 9)
			p.shards[number] = &snapshot.Shard{Number: number, Serial: 2, Domains: []snapshot.Domain{other}}
			p.writeIndex()
		}},
		{"a shard in the place of another", "shard-mismatch", shard, 3, func(p *plane, changed snapshot.Domain) {
			p.set(changed)
			other, _ := p.domain(names[1], 2)
			raw, err := snapshot.EncodeShard(&snapshot.Shard{Number: snapshot.ShardOf(names[1]), Serial: 3, Domains: []snapshot.Domain{other}})
			check(p.t, err)
			p.put(shard, snapshot.ShardKey, raw)
			p.writeIndex()
		}},
		{"a shard that stays older than the index says", "shard-stale", shard, 1, func(p *plane, changed snapshot.Domain) {
			p.set(changed)
			p.writeIndex()
		}},
		{"a shard that stays away", "shard-missing", shard, 2, func(p *plane, changed snapshot.Domain) {
			p.set(changed)
			p.remove(shard)
			p.writeIndex()
		}},
		{"an index that is none", "index-unreadable", index, 0, func(p *plane, _ snapshot.Domain) {
			p.put(index, snapshot.IndexKey, []byte("garbage"))
		}},
		{"an index of another gateway", "index-foreign", index, 2, func(p *plane, changed snapshot.Domain) {
			p.index.Gateway.Name = "other/" + gatewayName
			p.serve(changed)
			p.index.Gateway.Name = p.namespace + "/" + gatewayName
		}},
		{"an index older than what is served", "index-stale", index, 0, func(p *plane, changed snapshot.Domain) {
			number := p.set(changed)[0]
			p.writeShard(number)
			p.index.Serial = 0
			p.put(index, snapshot.IndexKey, p.encodedIndex())
			p.index.Serial = 1
		}},
		{"another index of the serial that is served", "index-stale", index, 1, func(p *plane, changed snapshot.Domain) {
			number := p.set(changed)[0]
			p.writeShard(number)
			p.put(index, snapshot.IndexKey, p.encodedIndex())
		}},
		{"a snapshot that is not valid", "snapshot-invalid", index, 2, func(p *plane, changed snapshot.Domain) {
			changed.Signing.Keys[0].Record = "v=DKIM1; k=ed25519; p="
			p.serve(changed)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlane(t, kubetest.Shared(t))
			good, record := p.domain(names[0], 1)
			other, _ := p.domain(names[1], 1)
			p.serve(good, other)
			pod := p.startPod(t.TempDir(), func(s *secretsource.Source) { s.SetPatience(100 * time.Millisecond) })
			pod.serves(&p.index)

			changed, _ := p.domain(names[0], 2)
			tt.poison(p, changed)
			rejected := pod.rejects(tt.reason)
			if len(rejected) != 1 || rejected[0].Secret != tt.secret || rejected[0].Serial != tt.serial {
				t.Errorf("%+v", rejected)
			}
			if got := pod.record(names[0]); got != record {
				t.Errorf("it serves %q", got)
			}
			eventually(t, "/readyz, log and metric say so", func() bool {
				ready, stale := pod.ready()
				return ready && strings.HasPrefix(stale, tt.secret+": "+tt.reason+": ") && pod.log.has("reason="+tt.reason) &&
					pod.metric(`calfed_snapshot_parts_refused_total{reason="`+tt.reason+`"}`) == "1" && pod.metric("calfed_configuration_stale") == "1"
			})
			if pod.log.has("PRIVATE KEY") || strings.Contains(rejected[0].Problem, "PRIVATE KEY") {
				t.Error("a key was told")
			}

			repaired, want := p.domain(names[0], 3)
			p.index.Serial = max(p.index.Serial, 5) // above all that was
			p.serve(repaired)
			pod.serves(&p.index)
			if got := pod.record(names[0]); got != want {
				t.Errorf("repaired, it serves %q", got)
			}
			if ready, stale := pod.ready(); !ready || stale != "" {
				t.Errorf("repaired: ready %v, stale %q", ready, stale)
			}
		})
	}
}

// What is refused is told once, however often it is tried again.
func TestRefusalsAreToldOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	domain, _ := p.domain(apart(1)[0], 1)
	number := p.set(domain)[0]
	p.put(snapshot.ShardName(gatewayName, number), snapshot.ShardKey, []byte("garbage"))
	p.writeIndex()
	pod := p.startPod(t.TempDir())
	pod.rejects("shard-unreadable")
	eventually(t, "it is tried again", func() bool { return pod.log.has("a newer snapshot is still refused") })
	if refused := pod.metric(`calfed_snapshot_parts_refused_total{reason="shard-unreadable"}`); refused != "1" {
		t.Errorf("counted %s times", refused)
	}
	p.writeShard(number) // repaired where it is
	pod.serves(&p.index)
}

// Of an index that was refused nothing is left when the one that is served comes back, as after a change by hand.
func TestTheServedIndexComesBack(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	domain, _ := p.domain(apart(1)[0], 1)
	p.serve(domain)
	pod := p.startPod(t.TempDir())
	pod.serves(&p.index)
	p.put(snapshot.IndexName(gatewayName), snapshot.IndexKey, []byte("garbage"))
	pod.rejects("index-unreadable")
	p.put(snapshot.IndexName(gatewayName), snapshot.IndexKey, p.encodedIndex())
	pod.serves(&p.index)
	if ready, stale := pod.ready(); !ready || stale != "" {
		t.Errorf("ready %v, stale %q", ready, stale)
	}
}

// A shard that is not there yet is waited for, and nothing is refused.
func TestAnIndexAheadOfItsShards(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	names := apart(2)
	one, _ := p.domain(names[0], 1)
	p.serve(one)
	pod := p.startPod(t.TempDir(), func(s *secretsource.Source) { s.SetPatience(time.Hour) })
	pod.serves(&p.index)
	two, record := p.domain(names[1], 1)
	number := p.set(two)[0]
	p.writeIndex()
	eventually(t, "the source waits", func() bool { return pod.log.has("waiting for the rest of a snapshot") })
	if s := pod.source.Status(); s.Serial != 1 || len(s.Rejected) > 0 {
		t.Errorf("%+v", s)
	}
	p.writeShard(number)
	pod.serves(&p.index)
	if got := pod.record(names[1]); got != record {
		t.Errorf("it serves %q", got)
	}
	if ready, stale := pod.ready(); !ready || stale != "" || pod.log.has("is refused") {
		t.Errorf("ready %v, stale %q", ready, stale)
	}
}

// A shard may be ahead of the index: a pod that starts just then serves it.
func TestShardsAheadOfTheIndex(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	name := apart(1)[0]
	one, _ := p.domain(name, 1)
	p.serve(one)
	two, record := p.domain(name, 2)
	number := p.set(two)[0]
	p.writeShard(number)
	pod := p.startPod(t.TempDir())
	pod.serves(&p.index)
	if got := pod.record(name); got != record {
		t.Errorf("it serves %q", got)
	}
	want := p.shards[number].Ref()
	if got := pod.source.Status().Shards; len(got) != 1 || got[0] != want {
		t.Errorf("it says that it serves %+v", got)
	}
	p.writeIndex()
	pod.serves(&p.index)
}

// An index that was made anew, as after a restore, may begin with a lower serial.
func TestANewIndexMayStartLower(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	name := apart(1)[0]
	domain, _ := p.domain(name, 1)
	p.index.Serial = 900
	p.serve(domain)
	pod := p.startPod(t.TempDir())
	pod.serves(&p.index)
	p.remove(snapshot.IndexName(gatewayName))
	eventually(t, "it is seen that the index is gone", func() bool { return pod.log.has("the index is gone") })
	if ready, _ := pod.ready(); !ready || pod.record(name) == "" {
		t.Error("what was served does not stay")
	}
	p.index.Serial = 0
	again, record := p.domain(name, 2)
	p.serve(again)
	pod.serves(&p.index)
	if got := pod.record(name); got != record || pod.source.Status().IndexUID != p.uid() {
		t.Errorf("it serves %q, %+v", got, pod.source.Status())
	}
}
