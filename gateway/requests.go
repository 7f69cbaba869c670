package gateway

import (
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

// servePublic is the public listener's resources.
func servePublic(gen *generation, w http.ResponseWriter, req *http.Request) {
	aboutServer := req.Method == http.MethodOptions && req.RequestURI == "*" // names the version too: D05 §8.2
	if req.URL.Path == ischedule.WellKnownPath || aboutServer {
		gen.receiver.ServeHTTP(w, req)
		return
	}
	if domain, selector, ok := domainKeyPath(req.URL.Path); ok {
		req.SetPathValue("d", domain)
		req.SetPathValue("s", selector)
		gen.receiver.ServeDomainKey(w, req)
		return
	}
	http.Error(w, "There is nothing here.", http.StatusNotFound)
}

// serveSubmit is the submit listener's.
func serveSubmit(gen *generation, w http.ResponseWriter, req *http.Request) {
	gen.submit.ServeHTTP(w, req)
}

// domainKeyPath splits /.well-known/domainkey/{d}/{s}. net/http's mux would answer unclean paths with a redirect; here they
// are not found, because a POST of ours is never redirected (peer-quirks).
func domainKeyPath(path string) (domain, selector string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/.well-known/domainkey/")
	if !ok {
		return "", "", false
	}
	domain, selector, ok = strings.Cut(rest, "/")
	return domain, selector, ok && domain != "" && selector != "" && !strings.Contains(selector, "/")
}

// entry is where every request of a listener comes in: it holds the generation for the time of the request, bounds the
// time of its body, counts, and keeps a panic from being more than one lost request.
type entry struct {
	g     *Gateway
	name  string // of the listener
	serve func(*generation, http.ResponseWriter, *http.Request)
}

func (e *entry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	g := e.g
	seen := &statusWriter{ResponseWriter: w}
	g.metrics.inFlight.WithLabelValues(e.name).Inc()
	defer g.metrics.inFlight.WithLabelValues(e.name).Dec()
	defer func() {
		cause := recover()
		if err, _ := cause.(error); cause != nil && !errors.Is(err, http.ErrAbortHandler) {
			g.metrics.panics.WithLabelValues(e.name).Inc()
			g.log.Error("a request made a handler panic", "listener", e.name, "panic", cause, "stack", string(debug.Stack()))
			if seen.status == 0 {
				w.Header().Set("Connection", "close")
				http.Error(seen, "Internal error.", http.StatusInternalServerError)
				cause = nil
			}
		}
		if cause != nil { // half an answer is out: cut the connection rather than end it well
			g.metrics.requests.WithLabelValues(e.name, "aborted").Inc()
			panic(http.ErrAbortHandler)
		}
		g.metrics.requests.WithLabelValues(e.name, class(seen.status)).Inc()
	}()

	gen := g.acquire()
	if gen == nil {
		unavailable(seen, "no-snapshot", "This gateway has no configuration yet.")
		return
	}
	defer gen.release()
	switch g.phase() {
	case phaseLeaving: // connections end one by one while their requests are still served
		w.Header().Set("Connection", "close")
	case phaseClosed:
		w.Header().Set("Connection", "close")
		w.Header().Set(ischedule.HeaderCapabilities, strconv.FormatUint(gen.active.Snapshot.Gateway.Capabilities.Serial, 10)) // IS-CAP-2
		unavailable(seen, "draining", "This gateway is shutting down.")
		return
	}
	if req.Body != nil && req.Body != http.NoBody {
		// net/http keeps its own request: from the type of that Body it knows that "100 Continue" was never said, and must not
		// wait for a body then (peer-quirks: Cyrus always expects it).
		req = req.WithContext(req.Context())
		req.Body = newTimedBody(req.Body, http.NewResponseController(w), gen.active.Snapshot.Gateway.Limits.BodyTimeout)
	}
	e.serve(gen, seen, req)
}

// unavailable is the answer of a gateway that cannot serve right now. IS-RECV-2.
func unavailable(w http.ResponseWriter, reason, description string) {
	w.Header().Set(ischedule.HeaderVersion, ischedule.Version)
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	(&ischedule.Error{
		Status: http.StatusServiceUnavailable, Reason: reason, Description: description, RetryAfter: retryAfter,
	}).Write(w)
}

// retryAfter is how long a restart usually takes.
const retryAfter = 10 * time.Second

// timedBody bounds the time that a request's body may take to arrive, also when nobody wants it any more: net/http reads
// some of what a handler left, and its answer waits for that. The deadline is lifted when the body has ended: it must not
// end the request, whose connection net/http keeps reading from to notice that the peer is gone.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func newTimedBody(body io.ReadCloser, control *http.ResponseController, timeout time.Duration) *timedBody {
	_ = control.SetReadDeadline(time.Now().Add(timeout))
	return &timedBody{ReadCloser: body, control: control}
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// statusWriter remembers the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// class is a status as the metrics count it: "2xx".
func class(status int) string {
	if status == 0 {
		status = http.StatusOK // net/http writes it for handlers that write nothing
	}
	return strconv.Itoa(status/100) + "xx"
}
