package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/smarthost/smtptest"
)

// mailGateway is a `calfed serve` that takes mail, and the smarthost behind it.
type mailGateway struct {
	smtp      string // address
	password  string // file
	smarthost *smtptest.Server
}

func serveMail(t *testing.T, refuse map[string]*smtp.SMTPError) *mailGateway {
	t.Helper()
	smarthost, err := smtptest.New(smtptest.Config{Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smarthost.Close)
	dir := t.TempDir()
	file := testManifests(t, dir)
	edit(t, file, "  defaultPolicy: Deny\n", fmt.Sprintf("  defaultPolicy: Deny\n  submission: {smtp: {}, smarthost: {host: 127.0.0.1, port: %d, tls: None}}\n", smarthost.Port()))
	edit(t, file, "  submitters:\n", "  submitters:\n  - {name: mail, basicRef: {name: mail}}\n")
	add, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(add, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: mail, namespace: alpha}\ntype: kubernetes.io/basic-auth\nstringData: {username: calendar, password: a-long-secret}\n")
	if err := errors.Join(err, add.Close()); err != nil {
		t.Fatal(err)
	}
	g := &mailGateway{smarthost: smarthost, password: filepath.Join(t.TempDir(), "password")}
	if err := os.WriteFile(g.password, []byte("a-long-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.smtp = startServe(t, "--manifests", dir, "--data", filepath.Join(t.TempDir(), "data"), "--smtp-addr", "127.0.0.1:0").smtp
	return g
}

// sendmail runs the command; it returns its exit code and what it says.
func (g *mailGateway) sendmail(input string, args ...string) (code int, out string, err error) {
	var stdout bytes.Buffer
	root := newRootCommand()
	root.SetArgs(append([]string{"sendmail", "--smtp", g.smtp, "--username", "calendar", "--password-file", g.password, "--plaintext"}, args...))
	root.SetIn(strings.NewReader(input))
	root.SetOut(&stdout)
	err = root.ExecuteContext(context.Background())
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
	case err != nil:
		code = exitUsage
	}
	return code, stdout.String(), err
}

const letter = "From: Ann <ann@alpha.example>\nTo: bob@beta.example,\n Cleo <cleo@far.example>\nBcc: dora@far.example\nSubject: hello\n" +
	"Date: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <1@alpha.example>\n\nText\n.\nmore\n"

const letterSent = "From: Ann <ann@alpha.example>\r\nTo: bob@beta.example,\r\n Cleo <cleo@far.example>\r\nSubject: hello\r\n" +
	"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@alpha.example>\r\n\r\nText\r\n.\r\nmore\r\n"

// A mail leaves as the program meant it, with the envelope of its options, through a real gateway.
//
// Proves: IS-SUB-2
func TestSendmail(t *testing.T) {
	t.Parallel()
	g := serveMail(t, nil)
	type mail struct {
		From, Body string
		To         []string
	}
	withBcc := strings.Replace(letterSent, "Subject", "Bcc: dora@far.example\r\nSubject", 1)
	for name, tc := range map[string]struct {
		input string
		args  []string
		want  mail
	}{
		"-t":                      {letter, []string{"-t", "-i"}, mail{"ann@alpha.example", letterSent, []string{"bob@beta.example", "cleo@far.example", "dora@far.example"}}},
		"recipients in arguments": {letter, []string{"-oi", "--", "bob@beta.example"}, mail{"ann@alpha.example", withBcc, []string{"bob@beta.example"}}},
		"-t and arguments, each once": {letter, []string{"-ti", "bob@beta.example", "<eve@far.example>"},
			mail{"ann@alpha.example", letterSent, []string{"bob@beta.example", "eve@far.example", "cleo@far.example", "dora@far.example"}}},
		"a dot ends": {letter, []string{"bob@beta.example"}, mail{"ann@alpha.example", withBcc[:strings.Index(withBcc, ".\r\nmore")], []string{"bob@beta.example"}}},
		"-f":         {letter, []string{"-i", "-f", "calendar@alpha.example", "bob@beta.example"}, mail{"calendar@alpha.example", withBcc, []string{"bob@beta.example"}}},
		"-fFROM":     {letter, []string{"-i", "-fcalendar@alpha.example", "bob@beta.example"}, mail{"calendar@alpha.example", withBcc, []string{"bob@beta.example"}}},
		"-f ''":      {letter, []string{"-i", "-f", "", "bob@beta.example"}, mail{"", withBcc, []string{"bob@beta.example"}}},
		"-f <>":      {letter, []string{"-i", "-f<>", "bob@beta.example"}, mail{"", withBcc, []string{"bob@beta.example"}}},
		"CRLF, and From_ of an mbox": {"From ann Sun Nov 22 10:00:00 2026\r\n" + strings.ReplaceAll(letter, "\n", "\r\n"), []string{"-i", "bob@beta.example"},
			mail{"ann@alpha.example", withBcc, []string{"bob@beta.example"}}},
		"as cron": {strings.NewReplacer("Ann <ann@alpha.example>", "root (Cron Daemon)", "bob@beta.example,\n Cleo <cleo@far.example>", "root", "Bcc: dora@far.example\n", "").Replace(letter),
			[]string{"-FCronDaemon", "-B8BITMIME", "-odi", "-oem", "-oi", "-t", "--domain", "alpha.example"},
			mail{"root@alpha.example", strings.NewReplacer("Ann <ann@alpha.example>", "root (Cron Daemon)", "bob@beta.example,\r\n Cleo <cleo@far.example>", "root").Replace(letterSent), []string{"root@alpha.example"}}},
		"no header":        {"just text\n", []string{"-i", "-fann@alpha.example", "bob@beta.example"}, mail{"ann@alpha.example", "…\r\njust text\r\n", []string{"bob@beta.example"}}},
		"a quoted mailbox": {letter, []string{"-i", `a b> NOTIFY=NEVER <c@far.example`}, mail{"ann@alpha.example", withBcc, []string{`a b> NOTIFY=NEVER <c@far.example`}}},
	} {
		before := len(g.smarthost.Mails())
		if code, _, err := g.sendmail(tc.input, tc.args...); code != 0 {
			t.Errorf("%s: exit code %d: %v", name, code, err)
			continue
		}
		got := g.smarthost.Mails()[before:]
		if len(got) != 1 {
			t.Errorf("%s: %d mails", name, len(got))
			continue
		}
		body := got[0].Body
		if name == "no header" { // it got one
			for _, field := range []string{"From: <ann@alpha.example>\r\n", "Message-ID: <", "Date: "} {
				if !strings.Contains(body, field) {
					t.Errorf("%s: no %q in %q", name, field, body)
				}
			}
			body = "…" + body[strings.Index(body, "\r\n\r\n")+2:]
		}
		if diff := cmp.Diff(tc.want, mail{got[0].From, body, got[0].To}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What sendmail's callers act on are its exit codes.
//
// Proves: IS-SUB-2
func TestSendmailExitCodes(t *testing.T) {
	t.Parallel()
	g := serveMail(t, map[string]*smtp.SMTPError{
		"busy@beta.example": {Code: 450, Message: "greylisted"}, "gone@beta.example": {Code: 550, Message: "no such user"},
	})
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"refused":            {[]string{"-i", "gone@beta.example"}, 69, "no such user"},
		"not now":            {[]string{"-i", "busy@beta.example"}, 75, "greylisted"},
		"not of our domains": {[]string{"-i", "-feve@far.example", "bob@beta.example"}, 69, "550"},
		"wrong password":     {[]string{"-i", "--password-file", write("wrong", "guess"), "bob@beta.example"}, 77, "knows no submitter"},
		"no password":        {[]string{"-i", "--password-file", filepath.Join(dir, "none"), "bob@beta.example"}, 78, "password file"},
		"nobody there":       {[]string{"-i", "--smtp", "127.0.0.1:1", "bob@beta.example"}, 75, "cannot be reached"},
		"no recipient":       {[]string{"-i"}, 65, "-t"},
		"no domain":          {[]string{"-i", "-froot", "bob@beta.example"}, 65, "set domain"},
		"unknown option":     {[]string{"-Z"}, 64, "-Z"},
		"unknown long one":   {[]string{"--tls"}, 64, "--tls"},
		"the queue":          {[]string{"-bp"}, 64, "no queue"},
		"an argument less":   {[]string{"-i", "-f"}, 64, "-f wants"},
		"notifications":      {[]string{"-N", "never,failure", "bob@beta.example"}, 64, "never stands alone"},
		"clear, far away":    {[]string{"-i", "--smtp", "192.0.2.1:25", "bob@beta.example"}, 78, "in clear"},
		"the file":           {[]string{"--config", write("bad.yaml", "smpt: x\n")}, 78, "smpt"},
		"no file":            {[]string{"--config", filepath.Join(dir, "none.yaml")}, 78, "none.yaml"},
	} {
		code, _, err := g.sendmail(letter, tc.args...)
		if code != tc.code || err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "a-long-secret") {
			t.Errorf("%s: exit code %d, %v; want %d and %q in one line", name, code, err, tc.code, tc.says)
		}
	}
	if got := g.smarthost.Mails(); len(got) != 0 {
		t.Errorf("sent: %+v", got)
	}
}

// Options go before the environment, and that before the file. TLS is the rule.
//
// Proves: IS-SUB-2
func TestSendmailSettings(t *testing.T) {
	g := serveMail(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "sendmail.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try := func(args ...string) (int, error) {
		call, err := parseSendmail(append([]string{"--config", file}, args...))
		if err != nil {
			t.Fatal(err)
		}
		s, err := loadSendmail(&call.settings)
		if err != nil {
			return exitMailConfig, err
		}
		c, err := s.connect(context.Background())
		if err != nil {
			var exit *exitError
			errors.As(err, &exit)
			return exit.code, err
		}
		c.close()
		return 0, nil
	}
	write("smtp: " + g.smtp + "\nusername: calendar\npasswordFile: " + g.password + "\nplaintext: true\n")
	if code, err := try(); code != 0 {
		t.Errorf("by the file: %v", err)
	}
	t.Setenv("CALFED_SMTP_USERNAME", "nobody")
	if code, err := try(); code != exitMailNoPerm {
		t.Errorf("the environment goes before the file: %d, %v", code, err)
	}
	if code, err := try("--username=calendar"); code != 0 {
		t.Errorf("options go before the environment: %v", err)
	}
	write("smtp: " + g.smtp + "\nusername: calendar\npasswordFile: " + g.password + "\n")
	if code, err := try("--username=calendar"); code != exitMailConfig || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody known: %d, %v", code, err)
	}
}

// Cyrus speaks SMTP with the program that it runs.
//
// Proves: IS-SUB-2
func TestSendmailSpeaksSMTP(t *testing.T) {
	t.Parallel()
	g := serveMail(t, map[string]*smtp.SMTPError{"gone@beta.example": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}})
	session := "EHLO localhost\r\nMAIL FROM:<ann@alpha.example> SIZE=100\r\nRCPT TO:<bob@beta.example> NOTIFY=FAILURE,DELAY\r\n" +
		"RCPT TO:<\"a b\"@beta.example>\r\nDATA\r\n" + strings.ReplaceAll(letterSent, "\r\n.", "\r\n..") + ".\r\n" +
		"MAIL FROM:<ann@alpha.example>\r\nRCPT TO:<gone@beta.example>\r\nDATA\r\n" + strings.ReplaceAll(letterSent, "\r\n.", "\r\n..") + ".\r\n" +
		"MAIL FROM:<eve@far.example>\r\nRCPT TO:<bob@beta.example>\r\nRSET\r\n" +
		"MAIL FROM:<ann@alpha.example>\r\nRCPT TO:<bob@beta.example>\r\nBDAT 3 LAST\r\nabcQUIT\r\n"
	code, out, err := g.sendmail(session, "-bs")
	if code != 0 {
		t.Fatal(err)
	}
	var codes []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "CHUNKING") && strings.HasPrefix(line, "250") {
			t.Errorf("offered: %q", line)
		}
		if line[3] == ' ' {
			codes = append(codes, line[:3])
		}
	}
	want := []string{"220", "250", "250", "250", "250", "354", "250", "250", "250", "354", "550", "250", "550", "250", "250", "250", "502", "221"}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("replies (-want +got):\n%s\n%s", diff, out)
	}
	got := g.smarthost.Mails()
	if len(got) != 1 || got[0].Body != letterSent || !cmp.Equal(got[0].To, []string{"bob@beta.example", "a b@beta.example"}) ||
		!cmp.Equal(got[0].ToOptions[0].Notify, []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed}) {
		t.Errorf("%+v", got)
	}
	// nobody there: not now, and not for ever
	g.smtp = "127.0.0.1:1"
	if _, out, _ := g.sendmail("EHLO x\r\nMAIL FROM:<ann@alpha.example>\r\nQUIT\r\n", "-bs"); !strings.Contains(out, "\r\n451 4.4.1 ") {
		t.Errorf("%q", out)
	}
}
