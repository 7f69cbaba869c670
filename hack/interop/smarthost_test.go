//go:build interop

package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// smarthost is a running smarthost.sh.
type smarthost struct {
	addr string // host:port
	dir  string
}

// taken counts the mails it has taken, at the moment of the answer to each.
func (s *smarthost) taken(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(log, []byte(" smtp message "))
}

// mail is what lies there for one address from another, with LF. It may come a moment after it was taken.
func (s *smarthost) mail(t *testing.T, to, from string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "mail", to, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var mails []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte("Return-Path: <"+from+">\n")) {
			mails = append(mails, string(data))
		}
	}
	return mails
}
