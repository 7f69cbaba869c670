package main

import (
	"fmt"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// rules returns what the operator may do, from the ClusterRole that controller-gen makes of the markers in controllers.
func rules(root string) ([]byte, error) {
	path := filepath.Join(root, "config/rbac/role.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(role.Rules) == 0 {
		return nil, fmt.Errorf("%s has no rules", path)
	}
	return yaml.Marshal(role.Rules)
}
