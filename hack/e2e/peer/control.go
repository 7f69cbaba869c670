package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// serve keeps the load up until ctx ends, then settles and prints the report.
func (o *options) serve(ctx context.Context, p *poster, out io.Writer) error {
	l := load.New(load.Config{Try: p.try, Domain: p.domain, Rate: o.rate, InFlight: o.inFlight, Timeout: o.timeout})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "peer: control at", listener.Addr())
	server := &http.Server{Handler: control(l), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { l.Run(background) })
	running.Go(func() { err = server.Serve(listener) })

	<-ctx.Done()
	_ = l.Settle(background)
	shutdown, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	if server.Shutdown(shutdown) != nil {
		_ = server.Close()
	}
	stop()
	running.Wait()
	p.kept.CloseIdleConnections()
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return writeReport(out, l)
}

// control is the HTTP interface.
func control(l *load.Load) http.Handler {
	mux := http.NewServeMux()
	report := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_ = writeReport(w, l)
	}
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { report(w) })
	mux.HandleFunc("POST /settle", func(w http.ResponseWriter, req *http.Request) {
		if l.Settle(req.Context()) == nil {
			report(w)
		}
	})
	mux.HandleFunc("POST /rate", func(w http.ResponseWriter, req *http.Request) {
		rate, err := strconv.ParseFloat(req.URL.Query().Get("per-second"), 64)
		if err != nil || !validRate(rate) {
			http.Error(w, "per-second: "+errRate.Error(), http.StatusBadRequest)
			return
		}
		l.SetRate(rate)
		report(w)
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		l.Reset()
		report(w)
	})
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// maxRate is far beyond what one process can send.
const maxRate = 100_000

// minRate is the least that is not nothing: times of what is due stay within a time.Duration.
const minRate = 0.001

var errRate = fmt.Errorf("want messages per second, 0 or %g to %d", minRate, maxRate)

func validRate(r float64) bool { return r == 0 || (r >= minRate && r <= maxRate) }

func writeReport(w io.Writer, l *load.Load) error {
	report := l.Report()
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(&report)
}
