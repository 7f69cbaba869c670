package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

func TestJSONLogHasWordsForWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log, err := newLogger(&out, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	var none *time.Location
	log.Info("a",
		"func", source.Func(func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error { return nil }),
		"name", types.NamespacedName{Namespace: "ns", Name: "edge"}, "nil", none,
		"error", errors.New("it failed"), "address", netip.MustParseAddr("192.0.2.1"), "took", time.Second, "list", []string{"x"})
	got := map[string]any{}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	delete(got, "time")
	if text, _ := got["func"].(string); !strings.HasPrefix(text, "func source: 0x") {
		t.Errorf("func: %q", text)
	}
	delete(got, "func")
	want := map[string]any{
		"level": "INFO", "msg": "a", "name": "ns/edge", "nil": "UTC", "error": "it failed", "address": "192.0.2.1", "took": float64(time.Second),
		"list": []any{"x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
