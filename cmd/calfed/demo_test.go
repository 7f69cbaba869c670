package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestDemoGoesAsItShould(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_CTYPE", "")
	began := time.Now()
	code, out, err := calfed(t, nil, "demo")
	if code != exitOK || err != nil {
		t.Fatalf("exit %d, error %v:\n%s", code, err, out)
	}
	if took := time.Since(began); took > demoTime {
		t.Errorf("took %s", took)
	}
	for _, want := range []string{
		"✓ the service was found through DNS and TLS",
		"✓ 2.0;Success for mailto:bert@beta.example",
		"a=rsa-sha256",
		"SUMMARY:Tea",
		"✓ Bert has accepted, and only he",
		"✓ the tea is at three",
		"█",
		"✓ the tea is off in Bert's calendar",
		"HTTP 403 originator-denied",
		"reason=signature-mismatch",
		"reason=body-hash-mismatch",
		"✓ nothing was delivered again",
		"All 12 steps went as they should",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the transcript", want)
		}
	}
	if strings.ContainsAny(out, "\x1b✗") || strings.Contains(out, "Dentist") {
		t.Errorf("colours, a failure, or what is private:\n%s", out)
	}
}

func TestDemoSaysWhatWentOtherwise(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody will be reached
	var out bytes.Buffer
	tell := newTeller(&out)
	if err := runDemo(ctx, tell, false); err == nil {
		t.Error("no error")
	}
	tell.expect(true, "things are right", "")
	if err := tell.expect(false, "the sky is blue", "it is %s", "green"); err == nil || err.Error() != "expected: the sky is blue; but it is green" {
		t.Errorf("%v", err)
	}
}

func TestTellerPaintsTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	tell := newTeller(&out)
	tell.right("plain")
	tell.color = true
	tell.right("painted")
	if got := strings.Count(out.String(), "\x1b["); got != 2 {
		t.Errorf("%d escape sequences in %q", got, out.String())
	}
}
