package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/probe"
)

// Proves: IS-DISC-2, IS-DISC-9, IS-DKIM-10, IS-DKIM-11, IS-RECV-1
func TestCheckOfARunningGateway(t *testing.T) {
	w, err := newWorld(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := []string{"--resolver", w.dns.Addr(), "--ca", ca, "--allow", "127.0.0.0/8"}

	code, out, message := says(t, "", append([]string{"check", "alpha.example", "--selector", "cal"}, outside...)...)
	if code != exitOK || !strings.HasPrefix(out, "healthy\n") {
		t.Errorf("exit code %d\n%s%s", code, out, message)
	}
	t.Log("\n" + out)
	// its key is looked up over HTTPS: there is none in DNS, and there need not be
	code, out, message = says(t, "", append([]string{"check", "beta.example", "--selector", "cal", "-o", "json"}, outside...)...)
	var report probe.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK || report.Word != probe.Healthy {
		t.Errorf("exit code %d, %v\n%s%s", code, err, out, message)
	}

	if err := w.dns.Replace(""); err != nil {
		t.Fatal(err)
	}
	code, out, message = says(t, "", append([]string{"check", "alpha.example", "-o", "markdown"}, outside...)...)
	if code != exitFailed || !strings.HasPrefix(out, "### alpha.example: **absent**\n") || !strings.Contains(out, "\n| ❌ | srv | no SRV record |") {
		t.Errorf("exit code %d\n%s%s", code, out, message)
	}
}

func TestBackendTestNeedsAUserOfTheDomain(t *testing.T) {
	s := newTestSite(t)
	code, _, message := says(t, "", "backend", "test", "example.org", "--user", "eve@elsewhere.example", "--manifests", s.dir)
	if code != exitUsage || !strings.Contains(message, "is not in example.org") {
		t.Errorf("exit code %d: %s", code, message)
	}
}
