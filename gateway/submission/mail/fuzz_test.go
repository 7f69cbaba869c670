package mail_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// FuzzSession: whatever a submitter says after AUTH, nothing panics, and what is handed on can be handed on again: lines that
// end in CRLF only, addresses with a domain and without control characters.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"MAIL FROM:<anna@example.org>\r\nRCPT TO:<bob@peer.example>\r\nDATA\r\n" + plainMail + ".\r\nQUIT\r\n",
		"MAIL FROM:<anna@example.org>\r\nRCPT TO:<bob@peer.example>\r\nDATA\r\n" + imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example")) + ".\r\n",
		"MAIL FROM:<>\r\nRCPT TO:<\"a> b\"@peer.example> NOTIFY=NEVER ORCPT=rfc822;x+0Dy\r\nDATA\r\na\n.\nb\r\n.\r\n",
		"MAIL FROM:<anna@example.org> SMTPUTF8 ENVID=+0A RET=FULL\r\nRCPT TO:<bj\u00f6rn@peer.example>\r\nBDAT 3 LAST\r\nabcRSET\r\nDATA\r\n",
		"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<anna@example.org>\r\n",
		"MAIL FROM:<anna@example.org>\r\nRCPT TO:<bob@peer.example>\r\nDATA\r\n.\rx\r\r\n.\r\n.\r\n",
		"AUTH LOGIN\r\n*\r\nNOOP\r\nVRFY x\r\nHELO\r\nRSET\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, said []byte) {
		before := len(r.relay.sent())
		conn, err := net.Dial("tcp", r.addr)
		check(t, err)
		defer func() { _ = conn.Close() }()
		check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		go func() {
			_, _ = conn.Write(append([]byte("EHLO x\r\nAUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), said...))
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) { // until the server has closed
			t.Error("the server waits for more")
		}
		for _, m := range r.relay.sent()[before:] {
			if rest := strings.ReplaceAll(m.mail, "\r\n", ""); strings.ContainsAny(rest, "\r\n") {
				t.Errorf("handed on with a bare CR or LF: %q", m.mail)
			}
			for _, address := range append(m.To, m.From) {
				if address != "" && (!strings.Contains(address, "@") || bytes.ContainsFunc([]byte(address), func(c rune) bool { return c < ' ' || c == 0x7f })) {
					t.Errorf("handed on to %q", address)
				}
			}
		}
	})
}
