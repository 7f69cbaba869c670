package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestWatcherTellsOfChangesOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "a: 1")
	w := newWatcher([]string{dir}, slog.New(slog.DiscardHandler))
	changes, force := make(chan struct{}), make(chan os.Signal)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx, force, func() { changes <- struct{}{} }) })
	defer running.Wait()
	defer stop()

	expect := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			t.Fatalf("not told: %s", what)
		}
	}
	force <- syscall.SIGHUP
	expect("a reload was asked for, though nothing changed")
	write("a.yaml", "a: 2")
	expect("a file changed")
	write("deep/down/b.yml", "b: 1")
	expect("a file in a new folder")
	// neither a rewrite with the same content nor a file of another kind is a change: the next thing told is the removal
	write("a.yaml", "a: 2")
	write("notes.txt", "n")
	if err := os.Remove(filepath.Join(dir, "deep/down/b.yml")); err != nil {
		t.Fatal(err)
	}
	expect("a file was removed")
	select {
	case <-changes:
		t.Error("told twice")
	case <-time.After(2 * watchQuiet):
	}
}
