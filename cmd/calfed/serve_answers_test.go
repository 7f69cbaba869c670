package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What serve watches for answers it watches again after a restart; a file that cannot be read is no reason not to serve.
func TestServeKeepsWhatItWatchesForAnswers(t *testing.T) {
	manifests, data := t.TempDir(), t.TempDir()
	testManifests(t, manifests)
	file := filepath.Join(data, answersFile)
	entry := func(path string, until time.Time) string {
		return fmt.Sprintf(`{"server":"s","path":%q,"uid":%q,"component":"VEVENT","owner":"mailto:a@alpha.example","organizer":"mailto:b@beta.example",`+
			`"known":{"":{"partStat":"NEEDS-ACTION"}},"until":%q,"lively":"2026-11-22T12:00:00Z"}`, path, path, until.UTC().Format(time.RFC3339))
	}
	kept := `{"version":1,"objects":[` + entry("/a/1.ics", time.Now().Add(time.Hour)) + "," + entry("/a/2.ics", time.Now().Add(-time.Hour)) + "]}"
	if err := os.WriteFile(file, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startServe(t, "--manifests", manifests, "--data", data)
	resp, err := http.Get("http://" + r.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(metrics), "\ncalfed_caldav_watched_objects 1\n") {
		t.Errorf("%v: nothing is watched", err)
	}
	r.end()
	after, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(after), "/a/1.ics") || strings.Contains(string(after), "/a/2.ics") {
		t.Errorf("%v: kept %s", err, after)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = startServe(t, "--manifests", manifests, "--data", data)
	if !strings.Contains(r.log.String(), "forgotten") {
		t.Errorf("logged\n%s", r.log)
	}
}
