package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// programs returns the folder of etcd, kube-apiserver, kube-controller-manager and kubectl, and builds them when they are not
// there.
var programs = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	root, err := moduleDir("github.com/calfed/calfed")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, "hack", "cluster", "build.sh"))
	cmd.Stderr = os.Stderr // says so when it builds
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("hack/cluster/build.sh: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// moduleDir returns the folder of a module that our go.mod names.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("go list -m %s: %w: %s", module, err, exit.Stderr)
	}
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		return "", fmt.Errorf("module %s is not in the module cache: go mod download", module)
	}
	return dir, nil
}
