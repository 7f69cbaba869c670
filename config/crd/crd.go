// Package crd holds the generated CustomResourceDefinitions, for what reads resources without an API server.
// It does not read them itself: controllers/manifests does.
package crd

import "embed"

// Files are the definitions, one YAML document a file.
//
//go:embed *.yaml
var Files embed.FS
