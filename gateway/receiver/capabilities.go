package receiver

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
)

// capabilitiesMaxAge is how long a sender may use the document without asking; a change shows in every response's
// iSchedule-Capabilities meanwhile (IS-CAP-2).
const capabilitiesMaxAge = "max-age=3600"

// document is the capabilities document, written once per snapshot.
type document struct {
	body   []byte
	etag   string // strong: a hash of the bytes, so equal on every replica
	serial string
}

func newDocument(caps *ischedule.Capabilities) document {
	body := caps.Marshal()
	sum := sha256.Sum256(body)
	return document{body: body, etag: `"` + hex.EncodeToString(sum[:16]) + `"`, serial: strconv.FormatUint(caps.Serial, 10)}
}

// serveCapabilities answers GET and HEAD. IS-CAP-1, IS-CAP-3.
func (r *Receiver) serveCapabilities(w http.ResponseWriter, req *http.Request) {
	if !asksCapabilities(req.URL.RawQuery) {
		r.refuse(w, req, &ischedule.Error{
			Status: http.StatusBadRequest, Reason: "action-unknown", Description: "The only action is capabilities.",
		})
		return
	}
	r.cfg.Shared.Metrics.request(resultAccepted, "capabilities", 0)
	doc, h := &r.capabilities, w.Header()
	h.Set("ETag", doc.etag)
	h.Set("Cache-Control", capabilitiesMaxAge)
	if matches(req.Header.Values("If-None-Match"), doc.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(doc.body)))
	if req.Method == http.MethodGet {
		_, _ = w.Write(doc.body)
	}
}

// asksCapabilities reads the query: action=capabilities, DAViCal's query=capabilities, or neither.
func asksCapabilities(raw string) bool {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return false
	}
	for _, name := range []string{"action", "query"} {
		for _, v := range q[name] {
			if v != "capabilities" {
				return false
			}
		}
	}
	return true
}

// matches is If-None-Match's weak comparison (RFC 9110 §13.1.2). Our tags hold no comma.
func matches(fields []string, etag string) bool {
	for _, field := range fields {
		for tag := range strings.SplitSeq(field, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
