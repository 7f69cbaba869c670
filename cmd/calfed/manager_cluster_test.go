package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

func TestManagerWaitsForTheAPIServer(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"192.0.2.1:6443"}]}`)
	}))
	defer srv.Close()
	var said strings.Builder
	o := &managerOptions{config: &rest.Config{Host: srv.URL}}
	got, err := o.servers(t.Context(), slog.New(slog.NewTextHandler(&said, nil)))
	if want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if n := strings.Count(said.String(), "does not answer"); n != 1 || !strings.Contains(said.String(), srv.URL) {
		t.Errorf("said %d times, want once, and where:\n%s", n, &said)
	}
}

// Waiting gives nobody rights.
func TestManagerWithoutRightsEnds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	defer srv.Close()
	o := &managerOptions{config: &rest.Config{Host: srv.URL}}
	if _, err := o.servers(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "ask the API server") {
		t.Errorf("got %v", err)
	}
}
