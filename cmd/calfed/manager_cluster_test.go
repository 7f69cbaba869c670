package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// starting is an API server that answers requests, one after the other, with a status; the last for ever.
type starting []int

func (a *starting) RoundTrip(*http.Request) (*http.Response, error) {
	status := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	body := `{"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"192.0.2.1:6443"}]}`
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// servers asks one, on a clock of its own.
func (a *starting) servers(ctx context.Context) (got []netip.AddrPort, said string, err error) {
	var log strings.Builder
	o := &managerOptions{config: &rest.Config{Host: "https://cluster.example", Transport: a, QPS: -1}}
	got, err = o.servers(ctx, slog.New(slog.NewTextHandler(&log, nil)))
	return got, log.String(), err
}

// One that starts refuses connections, then everybody, and then those whose rights it has not read yet.
func TestManagerWaitsForTheAPIServer(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	synctest.Test(t, func(t *testing.T) {
		got, said, err := (&starting{0, 0, 0, 503, 401, 403, 200}).servers(t.Context())
		if want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
		if n := strings.Count(said, "cannot be asked"); n != 4 || !strings.Contains(said, "https://cluster.example") || !strings.Contains(said, "connection refused") || !strings.Contains(said, "the API server answers") {
			t.Errorf("said %d times, want once for each of four reasons, and where:\n%s", n, said)
		}
	})
}

func TestManagerEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, stop)
		if _, _, err := (&starting{0}).servers(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
