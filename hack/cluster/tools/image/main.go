// Command image writes an image of static programs as an OCI archive, with no container engine and no base image: what
// `ctr images import`, `kind load image-archive`, `podman load` and `skopeo copy oci-archive:` take. The same programs give the same
// archive.
//
//	image -name calfed:dev -out calfed.tar -entrypoint /calfed /calfed=bin/calfed [/more=file]
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	log.SetFlags(0)
	ref := flag.String("name", "", "`NAME:TAG` of the image")
	out := flag.String("out", "", "archive to write, a `FILE`")
	entry := flag.String("entrypoint", "", "`PROGRAM` in the image that runs")
	user := flag.String("user", "65532:65532", "`UID:GID` that it runs as")
	flag.Parse()
	if *out == "" || *entry == "" || flag.NArg() == 0 {
		log.Fatal("want -name, -out, -entrypoint and what the image holds: /path=file ...")
	}
	named, err := reference.ParseDockerRef(*ref) // the long form, as nodes see short names
	if err != nil {
		log.Fatalf("-name %q: %v", *ref, err)
	}
	tag, ok := named.(reference.NamedTagged)
	if !ok {
		log.Fatalf("-name %q: want a tag", *ref)
	}
	img, err := build(flag.Args(), *entry, *user)
	if err != nil {
		log.Fatal(err)
	}
	if err := write(*out, tag, img); err != nil {
		log.Fatal(err)
	}
}

// build makes an image of one layer: files as dest=source, and /tmp.
func build(files []string, entry, user string) (v1.Image, error) {
	layer, err := layerOf(files)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{entry}, User: user, WorkingDir: "/", Env: []string{"PATH=/"}}
	return mutate.ConfigFile(img, config)
}

func layerOf(files []string) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{}
	for _, file := range files {
		dest, source, ok := strings.Cut(file, "=")
		if !ok || !path.IsAbs(dest) {
			return nil, fmt.Errorf("%q: want /path=file", file)
		}
		data, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		dest = path.Clean(dest)[1:]
		if err := parents(w, dest, made); err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if info, err := os.Stat(source); err == nil && info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: dest, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0)}); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// parents writes the folders of a file that are not there yet.
func parents(w *tar.Writer, file string, made map[string]bool) error {
	for i, c := range file {
		if c != '/' || made[file[:i]] {
			continue
		}
		made[file[:i]] = true
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: file[:i+1], Mode: 0o755, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	return nil
}

// write puts an OCI image layout into a tar archive. containerd reads the whole name from its own annotation, others the tag.
func write(file string, tag reference.NamedTagged, img v1.Image) error {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = index.AppendImage(img, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.String(),
		"org.opencontainers.image.ref.name": tag.Tag(),
	}))
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	err = archive(f, os.DirFS(dir))
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// archive is in the order of names, and without times.
func archive(out io.Writer, files fs.FS) error {
	w := tar.NewWriter(out)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}
