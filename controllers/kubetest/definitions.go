package kubetest

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/config/crd"
)

// own are definitions of neighbours whose modules have none: any content is accepted.
//
//go:embed testdata/crd/*.yaml
var own embed.FS

// neighbours says where modules keep the definitions that we may meet.
var neighbours = []struct {
	module string
	files  []string
}{
	{"sigs.k8s.io/gateway-api", []string{
		"config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml",
		"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		"config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
		"config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml",
	}},
	{"github.com/cert-manager/cert-manager", []string{
		"deploy/crds/cert-manager.io_certificates.yaml",
		"deploy/crds/cert-manager.io_issuers.yaml",
		"deploy/crds/cert-manager.io_clusterissuers.yaml",
	}},
}

func definitions(withNeighbours bool) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	all, err := readDefinitions(crd.Files, "*.yaml")
	if err != nil || !withNeighbours {
		return all, err
	}
	for _, n := range neighbours {
		dir, err := moduleDir(n.module)
		if err != nil {
			return nil, err
		}
		for _, file := range n.files {
			found, err := readDefinitions(os.DirFS(filepath.Join(dir, filepath.Dir(file))), filepath.Base(file))
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	found, err := readDefinitions(own, "testdata/crd/*.yaml")
	return append(all, found...), err
}

func readDefinitions(from fs.FS, pattern string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(from, pattern)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "read definitions", Path: pattern, Err: fs.ErrNotExist}
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		d := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, d); err != nil {
			return nil, &fs.PathError{Op: "read definition", Path: name, Err: err}
		}
		all = append(all, d)
	}
	return all, nil
}
