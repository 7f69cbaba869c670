package kubetest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Calfed returns the path of the program that pods without a command run; it is there until the cluster stops.
func (c *Cluster) Calfed(t testing.TB) string {
	t.Helper()
	path, err := c.calfed()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildCalfed builds the program with the race detector, as the tests are, save for measuring.
//
// To link it takes up to a minute, and Go caches no program that it links. So the newest one stays in bin/kubetest for all clusters of all
// test processes: go build leaves it as it is when nothing that goes into it has changed. A cluster has a link of its own, so that
// edits while it runs do not reach it.
func (c *Cluster) buildCalfed() (string, error) {
	root, err := moduleDir("github.com/calfed/calfed")
	if err != nil {
		return "", err
	}
	newest, race := filepath.Join(root, "bin", "kubetest", "calfed-race"), "-race=true"
	if c.opt.Measuring {
		newest, race = filepath.Join(root, "bin", "kubetest", "calfed"), "-race=false"
	}
	release, err := lockFolder(filepath.Dir(newest))
	if err != nil {
		return "", err
	}
	defer release()
	// a new commit alone makes no other program, and nobody debugs it
	cmd := exec.Command("go", "build", race, "-buildvcs=false", "-ldflags=-w", "-o", newest, "./cmd/calfed")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: go build ./cmd/calfed: %w: %s", errHopeless, err, out)
	}
	own := c.path("calfed")
	if err := os.Link(newest, own); !errors.Is(err, syscall.EXDEV) {
		return own, err
	}
	return own, copyProgram(own, newest)
}

// lockFolder makes a folder, and waits until no other process has it locked.
func lockFolder(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), lock.Close())
	}
	return func() { _ = lock.Close() }, nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
