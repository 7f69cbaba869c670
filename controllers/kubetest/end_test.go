package kubetest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

const mark = "KUBETEST_MARK"

// marked returns how many living processes have the mark in their environment.
func marked(value string) int {
	all, _ := filepath.Glob("/proc/[0-9]*")
	n := 0
	for _, dir := range all {
		env, err := os.ReadFile(filepath.Join(dir, "environ")) // empty when it has ended and nobody has asked how
		if err == nil && bytes.Contains(append(env, 0), []byte(mark+"="+value+"\x00")) {
			n++
		}
	}
	return n
}

// TestPanicking is run by TestNothingIsLeftAfterAPanic, in a process of its own.
func TestPanicking(t *testing.T) {
	value := os.Getenv(mark)
	if value == "" {
		t.Skip("only where TestNothingIsLeftAfterAPanic runs it")
	}
	r := newRig(t, kubetest.New(t, kubetest.Options{ControllerManager: true}), 1)
	fmt.Printf("processes: %d\n", marked(value))
	if len(r.pods()) == 1 {
		go panic("as asked for") // in a test's own goroutine its cleanups would still run
	}
	<-t.Context().Done()
}

func TestNothingIsLeftAfterAPanic(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	value := strconv.Itoa(os.Getpid())
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestPanicking$")
	cmd.Env = append(os.Environ(), mark+"="+value, "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	// the test itself, etcd, kube-apiserver, kube-controller-manager, the pod's
	if err == nil || !strings.Contains(string(out), "processes: 5\n") || !strings.Contains(string(out), "as asked for") {
		t.Fatalf("%v\n%s", err, out)
	}
	eventually(t, "processes go on", func(context.Context) bool { return marked(value) == 0 })
}
