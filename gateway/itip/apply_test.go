package itip_test

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

var update = flag.Bool("update", false, "write what Apply returns into testdata/apply")

var outcomes = map[itip.Outcome]string{
	itip.Stored: "Stored", itip.Unchanged: "Unchanged", itip.NoAuthority: "NoAuthority", itip.Unsupported: "Unsupported", itip.Answer: "Answer",
}

// The files of testdata/apply are named for the rule they show: what is stored, the message, and what is stored then. Who sends,
// whose calendar it is and the outcome stand in the comment.
//
// Proves: IS-ITIP-4, IS-ITIP-5, IS-BACK-4
func TestApply(t *testing.T) {
	files, err := filepath.Glob("testdata/apply/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head := header(t, ar.Comment)
			var stored, message, want []byte
			for _, f := range ar.Files {
				body := bytes.ReplaceAll(f.Data, []byte("\n"), []byte("\r\n"))
				switch f.Name {
				case "stored.ics":
					stored = body
				case "message.ics":
					message = body
				case "want.ics":
					want = body
				default:
					t.Fatalf("unknown file %s", f.Name)
				}
			}
			originator, owner := cua.MustParse(head["originator"]), cua.MustParse(head["owner"])
			m := inspect(t, message)
			got, outcome, err := itip.Apply(stored, message, m, originator, owner)
			if err != nil {
				t.Fatal(err)
			}
			if outcomes[outcome] != head["outcome"] {
				t.Errorf("outcome %s, want %s", outcomes[outcome], head["outcome"])
			}
			if outcome != itip.Stored {
				if !bytes.Equal(got, stored) {
					t.Errorf("the object changed:\n%s", got)
				}
				return
			}
			if *update {
				ar.Files = append(ar.Files[:len(ar.Files):len(ar.Files)], txtar.File{Name: "want.ics", Data: bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))})
				if want != nil {
					ar.Files = append(ar.Files[:len(ar.Files)-2], ar.Files[len(ar.Files)-1])
				}
				if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			if _, again, err := itip.Apply(got, message, m, originator, owner); err != nil || again != itip.Unchanged {
				t.Errorf("the same message again: %s, %v", outcomes[again], err)
			}
		})
	}
}

func header(t *testing.T, comment []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(comment)); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ": "); ok {
			out[key] = value
		}
	}
	for _, key := range []string{"originator", "owner", "outcome"} {
		if out[key] == "" {
			t.Fatalf("no %s in the comment", key)
		}
	}
	return out
}
