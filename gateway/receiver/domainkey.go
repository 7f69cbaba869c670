package receiver

import (
	"net/http"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

const domainKeyPath = "/.well-known/domainkey/"

// ServeDomainKey answers /.well-known/domainkey/{d}/{s} with the record of a published key of a domain here, and 404
// for all else. IS-DKIM-11, D05 §7.3.2.
func (r *Receiver) ServeDomainKey(w http.ResponseWriter, req *http.Request) {
	r.bodyDeadline(w, req)
	if err := r.admit(req); err != nil {
		r.refuse(w, req, err)
		return
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	record, ok := r.publishedKey(req.URL.Path)
	if !ok {
		http.Error(w, "no such key", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	if req.Method == http.MethodGet {
		_, _ = w.Write([]byte(record + "\r\n"))
	}
}

// publishedKey finds the record that a path asks for.
func (r *Receiver) publishedKey(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, domainKeyPath)
	if !ok {
		return "", false
	}
	d, s, ok := strings.Cut(rest, "/")
	if !ok {
		return "", false
	}
	domain, err := cua.Domain(d)
	if err != nil {
		return "", false
	}
	key, ok := r.cfg.Active.Key(domain, strings.ToLower(s))
	if !ok {
		return "", false
	}
	return key.Record, true
}
