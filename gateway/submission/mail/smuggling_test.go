package mail_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSmuggling: nothing but CRLF . CRLF ends a mail, and what another server could take for it is refused. RFC 5321 §4.1.1.4
//
// Proves: IS-SUB-2
func TestSmuggling(t *testing.T) {
	const second = "MAIL FROM:<anna@example.org>\r\nRCPT TO:<victim@peer.example>\r\nDATA\r\nsmuggled\r\n"
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\r\n.\r\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\n\n.\r\n", "\r\n.\r\r\n",
	} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			r := newRig(t)
			w := r.raw()
			w.login()
			w.mail()
			w.say("DATA", 354)
			w.write("Subject: first\r\n\r\none" + end + second + ".\r\n")
			reply, err := w.reply()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range r.relay.sent() {
				for _, to := range m.To {
					if to == "victim@peer.example" {
						t.Errorf("smuggled past us")
					}
				}
				if strings.Contains(strings.ReplaceAll(m.mail, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(m.mail, "\r\n", ""), "\r") {
					t.Errorf("a bare CR or LF handed on: %q", m.mail)
				}
			}
			if n := len(r.relay.sent()); strings.HasPrefix(reply, "250") != (n == 1) || n > 1 {
				t.Errorf("%q, %d mails", reply, n)
			}
		})
	}
}

// TestDotsAreTransparent: RFC 5321 §4.5.2.
//
// Proves: IS-SUB-2
func TestDotsAreTransparent(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.login()
	w.mail()
	w.say("DATA", 354)
	w.say("Subject: dots\r\n\r\n..\r\n...\r\n..a\r\na.\r\n.", 250)
	if got := r.relay.sent(); got[0].mail != "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\na.\r\n" {
		t.Errorf("%q", got[0].mail)
	}
}

// TestChunksAreRefused: CHUNKING is not offered, and one who sends chunks all the same has them thrown away, whatever they
// look like.
//
// Proves: IS-SUB-2
func TestChunksAreRefused(t *testing.T) {
	r := newRig(t)
	for _, chunk := range []string{"BDAT 6 LAST\r\nQUIT\r\n", "BDAT 6\r\nQUIT\r\n", "BDAT 0 LAST\r\n", "BDAT 100000 LAST\r\n" + strings.Repeat("QUIT\r\n\r\n\r\n", 10_000)} {
		w := r.raw()
		w.login()
		w.write(chunk)
		w.expect(502)
		w.mail()
		w.write(chunk)
		w.expect(502)
		w.say("NOOP", 250)
		w.mail()
		w.data(plainMail, 250)
	}
	w := r.raw()
	w.login()
	w.mail()
	w.write("BDAT 100 LAST\r\nSubject: half\r\n")
	_ = w.conn.Close()
	check(t, r.send("one", "anna@example.org", []string{"bob@peer.example"}, plainMail))
	for _, m := range r.relay.sent() {
		if m.mail != plainMail {
			t.Errorf("%q", m.mail)
		}
	}
}
