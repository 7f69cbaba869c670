//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/hack/calendartest"
)

// rig is what every world stands on: the binary under test, the CA that its gateways trust, free ports.
type rig struct {
	t      *testing.T
	binary string
	ca     *catest.CA
	ports  ports
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("interop starts calendar servers in mount namespaces of their own: run as root")
	}
	binary, err := filepath.Abs("../../bin/calfed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, binary: binary, ca: ca}
}

// certificate is one for a gateway's host, as others and as its own machine name it, and its key.
func (r *rig) certificate(host string) (certificate, key []byte) {
	r.t.Helper()
	leaf, err := r.ca.Issue(catest.Leaf{DNS: []string{host, "localhost"}})
	if err != nil {
		r.t.Fatal(err)
	}
	if certificate, key, err = catest.EncodePEM(leaf); err != nil {
		r.t.Fatal(err)
	}
	return certificate, key
}

// run executes calfed and returns what it prints; any failure ends the test.
func (r *rig) run(args ...string) string {
	r.t.Helper()
	out, code := r.try(args...)
	if code != 0 {
		r.t.Fatalf("calfed %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// try executes calfed and returns what it prints, errors included when it failed, and its exit code.
func (r *rig) try(args ...string) (string, int) {
	r.t.Helper()
	cmd := exec.Command(r.binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() != 0 {
		return out.String() + errs.String(), cmd.ProcessState.ExitCode()
	}
	return out.String(), 0
}

// start runs a server until the test ends; its output is shown when the test fails.
func (r *rig) start(name string, cmd *exec.Cmd) {
	r.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("%s said:\n%s", name, out.String())
		}
	})
}

// up starts a server; it may be called from any goroutine. The server ends with the test.
func (r *rig) up(s *calendartest.Server) error {
	r.t.Cleanup(func() {
		if err := s.Down(); err != nil {
			r.t.Error(err)
		}
	})
	return s.Up()
}

// dir makes a folder that other users of the machine can enter, which a test's own folder is not.
func (r *rig) dir(name string) string {
	r.t.Helper()
	dir, err := os.MkdirTemp("", "calfed-"+name+"-")
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// write puts a file into a folder of its own and returns its path.
func (r *rig) write(name string, data []byte) string {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return file
}

// dnsmasq serves the configuration on host:port.
func (r *rig) dnsmasq(addr, conf string) {
	r.t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	r.start("dnsmasq on "+addr, exec.Command("dnsmasq", "--keep-in-foreground", "--port="+port, "--listen-address="+host,
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--log-facility=-",
		"--conf-file="+r.write("dnsmasq.conf", []byte(conf))))
	r.eventually(r.t, "dnsmasq answers", func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// ready waits until the gateway whose admin listener this is serves traffic.
func (r *rig) ready(admin string) {
	r.t.Helper()
	r.eventually(r.t, "the gateway at "+admin+" is ready", func() bool {
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// eventually polls until ok, for servers that say nothing when they are done.
func (r *rig) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("gave up waiting: %s", what)
		case <-tick.C:
		}
	}
}

// secret appends a Secret with the given key, value pairs.
func secret(out *bytes.Buffer, name string, data ...any) {
	fmt.Fprintf(out, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default}\nstringData:\n", name)
	for i := 0; i < len(data); i += 2 {
		fmt.Fprintf(out, "  %s: |\n", data[i])
		for line := range bytes.Lines(data[i+1].([]byte)) {
			fmt.Fprintf(out, "    %s", line)
		}
	}
}
