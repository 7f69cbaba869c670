package secretsource_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Without an API server everything is served on, also after a restart; with it back, changes come again. What ran has ended then.
func TestALostAPIServerChangesNothing(t *testing.T) {
	cluster := kubetest.New(t, kubetest.Options{})
	p := newPlane(t, cluster)
	name := apart(1)[0]
	one, record := p.domain(name, 1)
	p.serve(one)
	before := p.index
	as := cluster.As(t, p.namespace, gatewayName)
	folder := t.TempDir()
	others := goleak.IgnoreCurrent()
	first := p.startPodAs(as, folder)
	first.serves(&p.index)
	first.stop()
	if err := goleak.Find(others); err != nil {
		t.Errorf("with an API server: %v", err)
	}
	first = p.startPodAs(as, folder)
	eventually(t, "the index is watched", func() bool { return first.metric("calfed_snapshot_source_connected") == "1" })
	status := first.source.Status()

	cluster.StopAPIServer(t)
	eventually(t, "it is seen that the API server is away", func() bool { return first.metric("calfed_snapshot_source_connected") == "0" })
	eventually(t, "it says so", func() bool { return strings.Contains(first.source.Status().Blind, "does not reach the API server") })
	serves := func(pod *pod) {
		t.Helper()
		if got := pod.record(name); got != record {
			t.Errorf("it serves %q", got)
		}
		if ready, stale := pod.ready(); !ready || stale != "" {
			t.Errorf("ready %v, stale %q", ready, stale)
		}
		now := pod.source.Status()
		now.Blind = ""
		if diff := cmp.Diff(status, now); diff != "" {
			t.Errorf("(-before +now):\n%s", diff)
		}
	}
	serves(first)
	first.stop()
	if err := goleak.Find(others); err != nil {
		t.Errorf("without one: %v", err)
	}

	restarted := p.startPodAs(as, folder)
	serves(restarted)
	cluster.StartAPIServer(t)
	two, changed := p.domain(name, 2)
	p.serve(two)
	restarted.serves(&p.index)
	if got := restarted.record(name); got != changed || p.index.Serial != before.Serial+1 {
		t.Errorf("it serves %q", got)
	}
	eventually(t, "it hears of what is new", func() bool { return restarted.source.Status().Blind == "" })
}

// A pod that starts again begins with what it served last, also when what the API server has is broken by now; nothing that is
// older than that is served.
func TestRestartWithTheLastGood(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	names := apart(2)
	one, _ := p.domain(names[0], 1)
	two, _ := p.domain(names[1], 1)
	p.serve(one, two)
	folder := t.TempDir()
	pod := p.startPod(folder)
	pod.serves(&p.index)
	two, record := p.domain(names[1], 2)
	p.serve(two)
	pod.serves(&p.index)
	pod.stop()

	files, err := os.ReadDir(folder)
	check(t, err)
	if len(files) != 3 { // the index and two shards; the one before is gone
		t.Errorf("kept: %v", files)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}

	index := snapshot.IndexName(gatewayName)
	p.put(index, snapshot.IndexKey, []byte("garbage"))
	pod = p.startPod(folder)
	if got := pod.record(names[1]); got != record { // at once
		t.Errorf("it serves %q", got)
	}
	pod.rejects("index-unreadable")
	pod.stop()

	p.index.Serial = 1
	p.put(index, snapshot.IndexKey, p.encodedIndex())
	pod = p.startPod(folder)
	pod.rejects("index-stale")
	if got := pod.record(names[1]); got != record {
		t.Errorf("it serves %q", got)
	}
}

// What was kept and cannot be served is told, and done without.
func TestLastGoodThatIsNoGood(t *testing.T) {
	t.Parallel()
	shared := newPlane(t, kubetest.Shared(t))
	name := apart(1)[0]
	domain, record := shared.domain(name, 1)
	shared.serve(domain)
	for what, spoil := range map[string]func(folder string, files []string){
		"an index that is none": func(folder string, _ []string) {
			check(t, os.WriteFile(filepath.Join(folder, "last-good-index"), []byte("{"), 0o600))
		},
		"a shard that is none": func(_ string, shards []string) { check(t, os.WriteFile(shards[0], nil, 0o600)) },
		"a shard that is gone": func(_ string, shards []string) { check(t, os.Remove(shards[0])) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			pod := shared.startPod(folder)
			pod.serves(&shared.index)
			pod.stop()
			shards, err := filepath.Glob(filepath.Join(folder, "last-good-shard-*"))
			check(t, err)
			spoil(folder, shards)
			check(t, os.WriteFile(filepath.Join(folder, ".last-good-index.123"), nil, 0o600)) // of a crash
			pod = shared.startPod(folder)
			pod.serves(&shared.index)
			if got := pod.record(name); got != record || !pod.log.has("the last good snapshot cannot be served") {
				t.Errorf("it serves %q", got)
			}
			pod.stop()
			files, err := os.ReadDir(folder)
			check(t, err)
			if len(files) != 2 {
				t.Errorf("kept: %v", files)
			}
			if pod = shared.startPod(folder); pod.log.has("cannot be served") {
				t.Error("it is no good still")
			}
		})
	}
}

// The folder of another gateway is none of ours.
func TestLastGoodOfAnotherGateway(t *testing.T) {
	t.Parallel()
	theirs, ours := newPlane(t, kubetest.Shared(t)), newPlane(t, kubetest.Shared(t))
	domain, _ := theirs.domain(apart(1)[0], 1)
	theirs.serve(domain)
	folder := t.TempDir()
	pod := theirs.startPod(folder)
	pod.serves(&theirs.index)
	pod.stop()
	pod = ours.startPod(folder)
	if ready, _ := pod.ready(); ready || !pod.log.has("it is that of gateway") {
		t.Error("it is served")
	}
}

// A folder that cannot be written is told, and the gateway serves.
func TestNowhereToKeep(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	domain, _ := p.domain(apart(1)[0], 1)
	p.serve(domain)
	pod := p.startPod(filepath.Join(t.TempDir(), strings.Repeat("none/", 2)))
	pod.serves(&p.index)
	eventually(t, "the log says so", func() bool { return pod.log.has("cannot be kept for the next start") })
}

// A pod that may not read its snapshot says so: the control plane cannot see why it stays behind.
func TestAPodWithoutRightsSaysSo(t *testing.T) {
	t.Parallel()
	p := newPlane(t, kubetest.Shared(t))
	pod := p.startPodAs(p.cluster.As(t, p.namespace, "default"), t.TempDir())
	eventually(t, "it says so", func() bool { return strings.Contains(pod.source.Status().Blind, "does not let it read its snapshot") })
}
