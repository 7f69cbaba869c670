package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// folder shows files as the kubelet does: each is a link to ..data/NAME, and ..data is a link that changes to a new folder
// when any of them does, so that a reader sees all old or all new ones.
type folder struct {
	dir   string
	files map[string][]byte // nil = never shown
	turn  int
}

func newFolder(dir string) (*folder, error) {
	return &folder{dir: dir}, os.MkdirAll(dir, 0o700)
}

// show replaces the files; keys are paths with slashes below the folder.
func (f *folder) show(files map[string][]byte) error {
	if f.files != nil && maps.EqualFunc(f.files, files, bytes.Equal) {
		return nil
	}
	f.turn++
	turn := fmt.Sprintf("..%d", f.turn)
	if err := os.Mkdir(filepath.Join(f.dir, turn), 0o700); err != nil {
		return err
	}
	for path, content := range files {
		file := filepath.Join(f.dir, turn, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(f.dir, "..data")
	old, _ := os.Readlink(link)
	if err := errors.Join(os.Symlink(turn, link+"_tmp"), os.Rename(link+"_tmp", link)); err != nil {
		return err
	}
	if err := f.links(files); err != nil {
		return err
	}
	f.files = maps.Clone(files)
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(f.dir, old))
}

// links makes what is seen of ..data follow what is in it.
func (f *folder) links(files map[string][]byte) error {
	var want []string
	for path := range files {
		top, _, _ := strings.Cut(path, "/")
		want = append(want, top)
		err := os.Symlink(filepath.Join("..data", top), filepath.Join(f.dir, top))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && !slices.Contains(want, e.Name()) {
			if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
