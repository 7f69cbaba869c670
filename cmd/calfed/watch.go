package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How changes of files become reloads: an editor, a Git checkout or a kubelet writes several files in a row.
const (
	watchQuiet = 250 * time.Millisecond // nothing happened for so long
	watchMost  = 2 * time.Second        // or this much has passed since the first event
	watchPoll  = 30 * time.Second       // file systems that tell nothing (NFS, some mounts)
)

// watcher tells when the files below some folders have changed.
type watcher struct {
	paths  []string
	notify *fsnotify.Watcher // nil: polling is all there is
	log    *slog.Logger
	seen   [sha256.Size]byte
}

func newWatcher(paths []string, log *slog.Logger) *watcher {
	w := &watcher{paths: paths, log: log}
	var err error
	if w.notify, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("file changes are found by polling only", "every", watchPoll, "error", err)
	}
	w.watchAll()
	w.seen = w.digest()
	return w
}

// run calls changed after each change, and after each value of force whether or not there was one. It returns when ctx
// ends.
func (w *watcher) run(ctx context.Context, force <-chan os.Signal, changed func()) {
	var events chan fsnotify.Event
	var errs chan error
	if w.notify != nil {
		defer func() { _ = w.notify.Close() }()
		events, errs = w.notify.Events, w.notify.Errors
	}
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	quiet := time.NewTimer(0)
	<-quiet.C
	var first time.Time // of the events not yet acted on
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if event.Op == fsnotify.Chmod {
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(max(0, min(watchQuiet, watchMost-time.Since(first))))
		case err := <-errs: // an overflow, say: what was missed is found by looking
			w.log.Warn("watching files", "error", err)
			quiet.Reset(watchQuiet)
		case <-quiet.C:
			first = time.Time{}
			w.check(changed)
		case <-poll.C:
			w.check(changed)
		case <-force:
			w.watchAll()
			w.seen = w.digest()
			changed()
		}
	}
}

func (w *watcher) check(changed func()) {
	w.watchAll() // folders come and go
	if now := w.digest(); now != w.seen {
		w.seen = now
		changed()
	}
}

// watchAll watches every folder below the paths, and the folders that named files and symbolic links stand in: a
// ConfigMap mount changes by a swap of the link ..data.
func (w *watcher) watchAll() {
	if w.notify == nil {
		return
	}
	for _, path := range w.paths {
		_ = w.notify.Add(filepath.Dir(path))
		_ = filepath.WalkDir(resolve(path), func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				_ = w.notify.Add(name) // twice is no harm; what cannot be watched is polled
			}
			return nil
		})
	}
}

// digest is a hash over names and contents of all files that could be manifests.
func (w *watcher) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, path := range w.paths {
		_ = filepath.WalkDir(resolve(path), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil
			}
			switch filepath.Ext(name) {
			case ".yaml", ".yml", ".json":
			default:
				if name != path {
					return nil
				}
			}
			data, err := os.ReadFile(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				_, _ = fmt.Fprintf(h, "%s\x00unreadable\x00", name)
				return nil
			}
			_, _ = fmt.Fprintf(h, "%s\x00%d\x00", name, len(data))
			_, _ = h.Write(data)
			return nil
		})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// resolve follows a symbolic link at the top, where WalkDir would stop.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
