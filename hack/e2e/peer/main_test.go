package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// asPeer makes the test binary be the peer: a process of its own, as on a cluster.
const asPeer = "CALFED_TEST_IS_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(asPeer) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// process is a running peer.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	control string
	stdout  bytes.Buffer
	stopped bool
}

// start runs the peer. It is paused, unless args have --rate.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Args = append(p.cmd.Args, "--listen", "127.0.0.1:0")
	if !strings.Contains(strings.Join(args, " "), "--rate") {
		p.cmd.Args = append(p.cmd.Args, "--rate", "0")
	}
	p.cmd.Env = append(os.Environ(), asPeer+"=1")
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	check(t, err)
	check(t, p.cmd.Start())
	t.Cleanup(func() {
		if !p.stopped {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	line, err := bufio.NewReader(stderr).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "peer: control at ")
	if !ok {
		t.Fatalf("the peer says %q, %v", line, err)
	}
	p.control = "http://" + address
	return p
}

// ask does something at the control, and reads the report that it gives.
func (p *process) ask(method, path string) load.Report {
	p.t.Helper()
	status, body := p.raw(method, path)
	var report load.Report
	if err := json.Unmarshal(body, &report); status != http.StatusOK || err != nil {
		p.t.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	return report
}

func (p *process) raw(method, path string) (status int, body []byte) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.control+path, nil)
	check(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	check(p.t, err)
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	check(p.t, err)
	return resp.StatusCode, body
}

// until waits for a report of a kind.
func (p *process) until(what string, is func(load.Report) bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		report := p.ask("GET", "/report")
		if is(report) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s: %s %+v", what, &report, report.Failures)
		}
	}
}

func (p *process) sent(n int) {
	p.t.Helper()
	p.until("messages are sent", func(r load.Report) bool { return r.Sent >= n })
}

// stop ends the peer as a cluster does, and reads what it prints.
func (p *process) stop() load.Report {
	p.t.Helper()
	check(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.stopped = true
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("the peer ends with %v", err)
	}
	var report load.Report
	check(p.t, json.Unmarshal(p.stdout.Bytes(), &report))
	return report
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
