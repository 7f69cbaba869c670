package receiver_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/calfed/calfed/gateway/dkim"
)

var update = flag.Bool("update", false, "write the answers of the transcripts anew")

// Conversations as they go over the wire: testdata/transcripts/*.txtar holds requests and the answers they get, one after
// the other, from one gateway. A field "DKIM-Signature: sign DOMAIN SELECTOR KEYFILE" is replaced by the real signature; a
// "policy" file changes what applies to sender.example.
//
// Proves: IS-RECV-2, IS-RECV-6, IS-RECV-8, IS-RECV-9, IS-RECV-10, IS-CAP-1, IS-CAP-2, IS-STAT-1
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			got := ""
			for i, part := range archive.Files {
				switch part.Name {
				case "policy":
					if err := json.Unmarshal(part.Data, &w.policy("sender").Inbound); err != nil {
						t.Fatal(err)
					}
					w.compile()
				case "request":
					got = w.exchange(string(part.Data))
				case "response":
					if *update {
						archive.Files[i].Data = []byte(got)
					} else if d := cmp.Diff(string(part.Data), got); d != "" {
						t.Errorf("answer %d (-want +got):\n%s", i, d)
					}
				default:
					t.Fatalf("%q is neither policy, request nor response", part.Name)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// exchange sends one request of a transcript and renders the answer.
func (w *world) exchange(request string) string {
	w.t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	body = crlf(body)
	lines := strings.Split(strings.TrimSpace(head), "\n")
	h := http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		if name != "DKIM-Signature" {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	for i, line := range lines {
		var domain, selector, key string
		if n, _ := fmt.Sscanf(line, "DKIM-Signature: sign %s %s %s", &domain, &selector, &key); n != 3 {
			continue
		}
		signer := dkim.Signer{Domain: domain, Selector: selector, Key: privateKey(w.t, key)}
		value, err := signer.Sign(h, []byte(body), w.now)
		if err != nil {
			w.t.Fatal(err)
		}
		lines[i] = "DKIM-Signature: " + value
	}
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	resp, answer := w.raw(w.receiver, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
	var fields []string
	for name, values := range resp.Header {
		if name != "Date" && name != "Content-Length" {
			fields = append(fields, name+": "+strings.Join(values, " | "))
		}
	}
	slices.Sort(fields)
	out := resp.Proto + " " + resp.Status + "\n" + strings.Join(fields, "\n") + "\n\n" + strings.ReplaceAll(answer, "\r\n", "\n")
	return strings.TrimRight(out, "\n") + "\n"
}
