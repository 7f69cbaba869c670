package compile_test

import (
	"testing"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// What compiles must be accepted by a gateway: nothing half made leaves here.
func TestEverySnapshotActivates(t *testing.T) {
	t.Parallel()
	for _, name := range goldenInputs(t) {
		in, _ := readInput(t, name)
		out := compile.Compile(in)
		if out.Snapshot == nil {
			continue
		}
		if _, err := snapshot.Activate(out.Snapshot); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
