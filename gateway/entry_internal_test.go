package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/calfed/calfed/gateway/ischedule"
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

// Proves: IS-RECV-2, IS-CAP-2
func TestRequestThatComesTooLateIsToldSo(t *testing.T) {
	g := New(Options{})
	s := &snapshot.Snapshot{}
	s.Gateway.Capabilities.Serial = 42
	g.current = &generation{active: &snapshot.Active{Snapshot: s}, outside: &outside{}}
	g.current.refs.Store(1)
	served := false
	e := &entry{g: g, name: listenerPublic, serve: func(*generation, http.ResponseWriter, *http.Request) { served = true }}
	for phase, want := range map[int32]int{phaseServing: http.StatusOK, phaseLeaving: http.StatusOK, phaseClosed: http.StatusServiceUnavailable} {
		served = false
		g.draining.Store(phase)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, ischedule.WellKnownPath, nil))
		h := w.Header()
		if w.Code != want || served != (want == http.StatusOK) || (h.Get("Connection") == "close") != (phase != phaseServing) {
			t.Errorf("phase %d: %d %v, served %v", phase, w.Code, h, served)
		}
		if phase == phaseClosed && (h.Get("Retry-After") == "" || h.Get(ischedule.HeaderCapabilities) != "42" || h.Get(ischedule.HeaderVersion) != "1.0") {
			t.Errorf("header: %v", h)
		}
	}
}

func TestCachesAreKeptWhileTheWayOutIsTheSame(t *testing.T) {
	g := New(Options{})
	apply := func(edit func(*snapshot.Gateway)) *outside {
		t.Helper()
		s := &snapshot.Snapshot{}
		edit(&s.Gateway)
		o, err := g.outsideFor(s)
		if err != nil {
			t.Fatal(err)
		}
		old := g.current
		g.current = &generation{outside: o}
		g.current.refs.Store(1)
		if old != nil {
			old.release()
		}
		return o
	}
	first := apply(func(*snapshot.Gateway) {})
	if apply(func(gw *snapshot.Gateway) { gw.Host = "other" }) != first {
		t.Error("another host: another way out")
	}
	for name, edit := range map[string]func(*snapshot.Gateway){
		"resolver":  func(gw *snapshot.Gateway) { gw.Egress.Resolver = "127.0.0.1:5353" },
		"discovery": func(gw *snapshot.Gateway) { gw.Discovery.WellKnown = true },
	} {
		before := g.current.outside
		if after := apply(edit); after == before {
			t.Errorf("another %s: the same way out", name)
		}
		if refs := before.refs.Load(); refs != 0 {
			t.Errorf("%s: %d generations hold the old one", name, refs)
		}
	}
}
