//go:build e2e

package e2e_test

import "testing"

// From default values to Ready.
func TestStory(t *testing.T) {
	w := shared(t)
	t.Logf("from helm install: operator ready after %s, all resources Ready after %s", w.took.operator, w.took.ready)
	t.Logf("\n%s", w.kubectl(t, "", "get", "calfed", "-A"))
}
