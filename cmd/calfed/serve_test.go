package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

// testManifests writes the demo's alpha.example into a folder, and says where its file is.
func testManifests(t *testing.T, dir string) (file string) {
	t.Helper()
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Name: "alpha", Domain: "alpha.example", Host: "cal.alpha.example", Peer: "beta.example", Selector: "cal", Lookup: "dns/txt",
		Resolver: "127.0.0.1:5353", Token: "a-token-of-some-length", Calendars: "http://127.0.0.1:8008/", ServicePassword: "a-password-of-some-length"}
	if err := s.keys(ca, "ed25519"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.compile(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "site.yaml")
}

// running is a `calfed serve` in this process.
type running struct {
	t      *testing.T
	public string
	admin  string
	smtp   string // "" = none
	stop   context.CancelFunc
	ended  chan struct{}
	err    error
	log    *logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var announcement = regexp.MustCompile(`^serving: public (127\.0\.0\.1:\d+), submit 127\.0\.0\.1:\d+,(?: smtp (127\.0\.0\.1:\d+),)? admin (127\.0\.0\.1:\d+)\n$`)

// startServe starts `calfed serve` and waits for the line that says where.
func startServe(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan struct{}), log: &logBuffer{}}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	out, in := io.Pipe()
	root := newRootCommand()
	root.SetArgs(append([]string{"serve", "--public-addr", "127.0.0.1:0", "--submit-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...))
	root.SetOut(in)
	root.SetErr(r.log)
	go func() {
		defer close(r.ended)
		r.err = root.ExecuteContext(ctx)
		_ = in.Close()
	}()
	t.Cleanup(r.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	m := announcement.FindStringSubmatch(line)
	if m == nil {
		stop()
		<-r.ended
		t.Fatalf("%q, %v, serve ended with %v:\n%s", line, err, r.err, r.log)
	}
	r.public, r.smtp, r.admin = m[1], m[2], m[3]
	return r
}

func (r *running) end() {
	r.stop()
	<-r.ended
	if r.err != nil {
		r.t.Errorf("serve: %v", r.err)
	}
}

// ready is the body of /readyz.
func (r *running) ready() (status int, body struct {
	Stale  string
	Serial uint64 `json:"capabilitiesSerial"`
}) {
	r.t.Helper()
	resp, err := http.Get("http://" + r.admin + "/readyz")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// until waits for cond; watching files takes a moment.
func (r *running) until(what string, cond func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s\n%s", what, r.log)
		}
	}
}

func edit(t *testing.T, file, old, new string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), old, new, 1)
	if changed == string(data) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(file+".new", []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil { // as editors do
		t.Fatal(err)
	}
}

// Proves: IS-CAP-2
func TestServeFollowsTheManifests(t *testing.T) {
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	file := testManifests(t, dir)
	r := startServe(t, "--manifests", dir, "--data", data)
	status, first := r.ready()
	if status != http.StatusOK || first.Serial < uint64(time.Now().Add(-time.Hour).Unix()) {
		t.Fatalf("ready: %d %+v", status, first)
	}

	// a change that peers can see: the serial grows by one
	edit(t, file, "postmaster@", "calendar@")
	r.until("the change is served", func() bool { _, now := r.ready(); return now.Serial == first.Serial+1 })

	// a mistake: reported with file, line and field; what is served stays
	edit(t, file, "defaultPolicy: Deny", "defaultPolicy: Perhaps")
	r.until("the mistake is noticed", func() bool { _, now := r.ready(); return now.Stale != "" })
	if status, now := r.ready(); status != http.StatusOK || now.Serial != first.Serial+1 {
		t.Errorf("with a mistake: %d %+v", status, now)
	}
	if want := fmt.Sprintf(`file=%s line=%d object="FederationGateway alpha/alpha" field=spec.defaultPolicy`, file, lineOf(t, file, "defaultPolicy")); !strings.Contains(r.log.String(), want) {
		t.Errorf("no %s in\n%s", want, r.log)
	}

	// corrected: no longer stale, and the same serial, since nothing that peers see has changed
	edit(t, file, "defaultPolicy: Perhaps", "defaultPolicy: Deny")
	r.until("the correction is served", func() bool { _, now := r.ready(); return now.Stale == "" })
	if _, now := r.ready(); now.Serial != first.Serial+1 {
		t.Errorf("corrected: %+v", now)
	}
	r.end()

	// a restart knows the serial, and serves the last good configuration when the files have a mistake
	edit(t, file, "defaultPolicy: Deny", "defaultPolicy: Perhaps")
	r = startServe(t, "--manifests", dir, "--data", data, "--log-format", "json")
	if status, now := r.ready(); status != http.StatusOK || now.Serial != first.Serial+1 || now.Stale == "" {
		t.Errorf("after the restart: %d %+v", status, now)
	}
	if !strings.Contains(r.log.String(), `"level":"ERROR","msg":"the manifests are refused: serving the configuration of the last run"`) {
		t.Errorf("nothing loud in\n%s", r.log)
	}
	edit(t, file, "defaultPolicy: Perhaps", "defaultPolicy: Allow")
	r.until("the correction is served", func() bool { _, now := r.ready(); return now.Stale == "" })

	// secrets and serial are their owner's alone
	for _, name := range []string{capabilitiesFile, snapshotFile} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func lineOf(t *testing.T, file, text string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return 1 + strings.Count(string(data[:strings.Index(string(data), text)]), "\n")
}

func TestServeFollowsAConfigMapMount(t *testing.T) {
	// what a kubelet does: files are links into ..data, which is itself a link that is swapped
	mount, data := t.TempDir(), t.TempDir()
	version := func(name string) string {
		dir := filepath.Join(mount, name)
		return testManifests(t, dir)
	}
	link := func(target, name string) {
		t.Helper()
		tmp := filepath.Join(mount, "..tmp")
		if err := os.Symlink(target, tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1")
	link("..2026_1", "..data")
	link("..data/site.yaml", "site.yaml")
	r := startServe(t, "--manifests", mount, "--data", data)
	_, first := r.ready()
	edit(t, version("..2026_2"), "postmaster@", "calendar@")
	link("..2026_2", "..data")
	r.until("the swap is noticed", func() bool { _, now := r.ready(); return now.Serial == first.Serial+1 })
}

func TestServeDoesNotStartWithoutAConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := testManifests(t, dir)
	edit(t, file, "defaultPolicy: Deny", "defaultPolicy: Perhaps")
	edit(t, file, "namespace: alpha}\nspec:\n  domain: alpha.example\n  gatewayRef: {name: alpha}", "namespace: alpha}\nspec:\n  domain: alpha.example\n  gatewayRef: {nome: alpha}")
	code, _, log, err := calfedSaying(t, nil, "serve", "--manifests", dir, "--data", filepath.Join(t.TempDir(), "data"))
	if code != exitUsage || err == nil {
		t.Errorf("exit %d, error %v", code, err)
	}
	for _, field := range []string{"field=spec.defaultPolicy", "spec.gatewayRef"} {
		if !strings.Contains(log, field) {
			t.Errorf("no %s in\n%s", field, log)
		}
	}
	for name, args := range map[string][]string{
		"no such folder":      {"--manifests", filepath.Join(dir, "nothing")},
		"a folder of nothing": {"--manifests", t.TempDir()},
		"log level":           {"--manifests", dir, "--log-level", "loud"},
		"log format":          {"--manifests", dir, "--log-format", "xml"},
		"no public address":   {"--manifests", dir, "--public-addr", ""},
		"data is a file":      {"--manifests", dir, "--data", file},
	} {
		if code, out, err := calfed(t, nil, append([]string{"serve", "--data", filepath.Join(t.TempDir(), "data")}, args...)...); code != exitUsage || err == nil {
			t.Errorf("%s: exit %d, error %v\n%s", name, code, err, out)
		}
	}
}

func TestServeRefusesTheLastGoodConfigurationOfAnotherGateway(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	testManifests(t, dir)
	c, err := compileManifests([]string{dir}, compile.CapabilityState{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	alpha, err := c.gateway("alpha")
	if err != nil {
		t.Fatal(err)
	}
	if err := stateDir(data).saveLastGood(alpha.Snapshot); err != nil {
		t.Fatal(err)
	}
	code, _, err := calfed(t, nil, "serve", "--manifests", dir, "--data", data, "--gateway", "gamma")
	if code != exitUsage || !strings.Contains(err.Error(), "of another gateway, alpha/alpha") {
		t.Errorf("exit %d, error %v", code, err)
	}
}

func TestServeRefusesASerialItCannotRead(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	testManifests(t, dir)
	if err := os.WriteFile(filepath.Join(data, capabilitiesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := calfed(t, nil, "serve", "--manifests", dir, "--data", data); code != exitUsage || !strings.Contains(err.Error(), capabilitiesFile) {
		t.Errorf("exit %d, error %v", code, err)
	}
}

// Programs that serve connect to no API server on behalf of others.
//
// Proves: IS-DISC-10
func TestAPIServersAreNeverConnectedTo(t *testing.T) {
	for _, tt := range []struct {
		environment string
		others      []string
		want        int
	}{
		{"10.96.0.1", nil, 1},
		{"", nil, 0},
		{"kubernetes.default", nil, 0},
		{"fd00::1", []string{"https://192.0.2.1:6443"}, 2},
		{"", []string{"https://[2001:db8::1]:6443/", "https://api.example.org:6443", "192.0.2.1:6443"}, 2},
	} {
		t.Setenv("KUBERNETES_SERVICE_HOST", tt.environment)
		if got := apiServer(tt.others...); len(got) != tt.want {
			t.Errorf("%q, %q: %v", tt.environment, tt.others, got)
		}
	}
}
