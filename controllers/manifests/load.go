package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MaxFileBytes bounds one file.
const MaxFileBytes = 8 << 20

// maxFiles bounds what is read in one go.
const maxFiles = 10000

// ErrNoFiles is the error for folders without a manifest: more often a wrong folder than an empty configuration.
var ErrNoFiles = errors.New("no *.yaml, *.yml or *.json")

// Load reads every *.yaml, *.yml and *.json below the folders (or the named files). The error is for folders that
// cannot be read, or hold no manifest; what is wrong inside is in the problems. Objects with an error are left out of the Set.
//
// Hidden files and folders are passed over, and so are kustomization files. A volume that Kubernetes mounts, all
// symbolic links, reads as expected.
func Load(paths ...string) (*Set, []Problem, error) {
	var names []string
	for _, path := range paths {
		found, err := list(path)
		if err != nil {
			return nil, nil, err
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%w below %s", ErrNoFiles, strings.Join(paths, ", "))
	}
	if len(names) > maxFiles {
		return nil, nil, fmt.Errorf("%d files: at most %d are read", len(names), maxFiles)
	}
	var files []File
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue // a file named beside its folder
		}
		data, err := read(name)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, File{Name: name, Data: data})
	}
	set, problems := Parse(files...)
	return set, problems, nil
}

// list returns the manifest files below path in lexical order, or path itself when it is a file.
func list(path string) ([]string, error) {
	root := filepath.Clean(path)
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{root}, nil
	}
	var out []string
	// the separator makes WalkDir enter a folder that is named by a symbolic link
	err = filepath.WalkDir(root+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.Clean(name)
		if name == root {
			return nil
		}
		if strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !isManifest(entry.Name()) {
			return nil
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			out = append(out, name)
		}
		return nil
	})
	return out, err
}

func isManifest(name string) bool {
	ext := filepath.Ext(name)
	base := strings.TrimSuffix(name, ext)
	return (ext == ".yaml" || ext == ".yml" || ext == ".json") && base != "kustomization"
}

// read returns at most one byte more than MaxFileBytes: enough to see that it is too long.
func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name) // a pipe would block
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
}
