// Package deploytest runs helm and kustomize in tests, at the versions that hack/deploytools pins, and reads what they make.
package deploytest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// root is the folder of our go.mod.
var root = sync.OnceValues(func() (string, error) {
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(out))), err
})

var (
	helm      = program("helm")
	kustomize = program("kustomize")
)

// program builds a program, the first time, into Go's cache, and returns its path.
func program(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := root()
		if err != nil {
			return "", err
		}
		cmd := exec.CommandContext(context.Background(), "go", "-C", filepath.Join(dir, "hack", "deploytools"), "tool", "-n", name)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("build %s: %w: %s", name, err, stderr.Bytes())
		}
		return strings.TrimSpace(string(out)), nil
	})
}

// HelmProgram is the path of helm.
func HelmProgram() (string, error) { return helm() }

// Helm runs helm, with the cluster of a kubeconfig file or, when that is "", without any. It returns all that was printed.
func Helm(t testing.TB, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	return RunHelm(t.Context(), kubeconfig, args...)
}

// RunHelm is Helm where no test runs.
func RunHelm(ctx context.Context, kubeconfig string, args ...string) (string, error) {
	path, err := helm()
	if err != nil {
		return "", err
	}
	home, err := os.MkdirTemp("", "helm-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(home) }()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig,
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Chart renders our chart as release calfed of a namespace, for the oldest Kubernetes that it takes.
func Chart(t testing.TB, namespace string, args ...string) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	out, err := Helm(t, "", append([]string{"template", "calfed", filepath.Join(dir, "charts", "calfed"), "--namespace", namespace, "--kube-version", "1.31.0"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Kustomize builds a folder.
func Kustomize(t testing.TB, folder string) string {
	t.Helper()
	path, err := kustomize()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "build", folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", folder, err, stderr.Bytes())
	}
	return string(out)
}

// Objects reads the documents of a manifest.
func Objects(t testing.TB, manifest string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, doc := range strings.Split("\n"+manifest, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
	return out
}
