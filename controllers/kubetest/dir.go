package kubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const dirPrefix = "calfed-kubetest-"

// claimDir makes a folder for a cluster, and removes those of test processes that ended without removing theirs. A lock on the
// folder, which the kernel gives up with the process, tells which those are.
func claimDir() (path string, lock *os.File, err error) {
	for _, old := range stale() {
		_ = os.RemoveAll(old)
	}
	if path, err = os.MkdirTemp("", dirPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = os.Open(path); err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), os.Remove(path))
	}
	return path, lock, nil
}

func stale() []string {
	all, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return nil
	}
	var found []string
	for _, path := range all {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < time.Minute { // perhaps not locked yet
			continue
		}
		if dir, err := os.Open(path); err == nil {
			if syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				found = append(found, path)
			}
			_ = dir.Close()
		}
	}
	return found
}
