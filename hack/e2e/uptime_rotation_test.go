//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Another key signs, and peers take what it signs from the first message on. How the old one ends is in hack/operator (-whole).
func TestKeyRotationUnderLoad(t *testing.T) {
	x := underLoad(t)
	active := func(ctx context.Context) string {
		var key v1alpha1.DKIMKey
		if err := x.c.Get(ctx, client.ObjectKey{Namespace: "west", Name: "load"}, &key); err != nil {
			t.Log(err) // asked again
		}
		return key.Status.ActiveSelector
	}
	first := active(t.Context())
	if first == "" {
		t.Fatal("no key signs")
	}
	nothingLost(t, x.during(t, "another DKIM key of west", func() {
		x.kubectl(t, "", "-n", "west", "annotate", "--overwrite", "dkey/load", fmt.Sprintf("%s=after %s", v1alpha1.AnnotationRotate, first))
		x.until(t, "another key signs", func() string { return x.kubectl(t, "", "-n", "west", "describe", "dkey/load") }, func(ctx context.Context) bool {
			now := active(ctx)
			return now != "" && now != first && len(x.notReady(ctx, "west")) == 0
		})
	}))
}
