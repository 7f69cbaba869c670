package kubetest_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBETEST_PROGRAM") != "" {
		program()
		return
	}
	os.Exit(kubetest.Main(m))
}

// program is what runs in pods of these tests: it notes each start in a folder and shows files. It is ready from the start;
// POST /busy makes it unready.
func program() {
	flags := flag.NewFlagSet("program", flag.ExitOnError)
	addr := flags.String("addr", "", "")
	data := flags.String("data", "", "")
	config := flags.String("config", "", "")
	token := flags.String("token", "", "")
	_ = flags.Parse(os.Args[1:])

	starts := filepath.Join(*data, "starts")
	before, _ := os.ReadFile(starts)
	if err := os.WriteFile(starts, append(before, '.'), 0o600); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var busy atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /starts", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, starts) })
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, *config) })
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, *token) })
	mux.HandleFunc("GET /env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("POD"), " ", os.Getenv("MEMORY"), " ", os.Getenv("KUBERNETES_SERVICE_PORT"))
	})
	mux.HandleFunc("POST /busy", func(http.ResponseWriter, *http.Request) { busy.Store(true) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if busy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: *addr, Handler: mux}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		<-ctx.Done()
		fmt.Println("asked to end")
		_ = server.Close()
	}()
	fmt.Println("serving at", *addr, server.ListenAndServe())
}
