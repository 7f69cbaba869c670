package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Handlers must not panic, so no request from outside can show what happens when one does.
func TestPanicCostsOneRequest(t *testing.T) {
	g := New(Options{})
	g.current = &generation{active: &snapshot.Active{Snapshot: &snapshot.Snapshot{}}, outside: &outside{}}
	g.current.refs.Store(1)
	for name, tc := range map[string]struct {
		serve  func(*generation, http.ResponseWriter, *http.Request)
		status int // 0 = the connection is cut
	}{
		"before the answer": {func(*generation, http.ResponseWriter, *http.Request) { panic("a bug") }, http.StatusInternalServerError},
		"in the answer": {func(_ *generation, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("a bug")
		}, 0},
		"on purpose": {func(*generation, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			panics := testutil.ToFloat64(g.metrics.panics.WithLabelValues(name))
			server := httptest.NewServer(&entry{g: g, name: name, serve: tc.serve})
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			switch {
			case tc.status == 0 && err == nil:
				t.Errorf("the answer ended well: %s", resp.Status)
			case tc.status != 0 && (err != nil || resp.StatusCode != tc.status):
				t.Errorf("%v, %v", resp, err)
			}
			counted := testutil.ToFloat64(g.metrics.panics.WithLabelValues(name)) - panics
			if want := map[bool]float64{true: 0, false: 1}[name == "on purpose"]; counted != want {
				t.Errorf("%v panics counted, want %v", counted, want)
			}
			if refs := g.current.refs.Load(); refs != 1 {
				t.Errorf("%d references to the generation are left", refs)
			}
		})
	}
}
