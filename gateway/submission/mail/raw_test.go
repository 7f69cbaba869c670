package mail_test

import (
	"bufio"
	"encoding/base64"
	"net"
	"strconv"
	"strings"
	"time"
)

// wire is a client that says what it wants, octet by octet.
type wire struct {
	r    *rig
	conn net.Conn
	in   *bufio.Reader
}

// raw connects in clear, from loopback, and reads the greeting.
func (r *rig) raw() *wire {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	check(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	return r.over(conn)
}

func (r *rig) over(conn net.Conn) *wire {
	r.t.Helper()
	check(r.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	w := &wire{r: r, conn: conn, in: bufio.NewReader(conn)}
	w.expect(220)
	return w
}

// login says EHLO and AUTH.
func (w *wire) login() {
	w.r.t.Helper()
	w.say("EHLO client.example.org", 250)
	w.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00one\x00secret")), 235)
}

// mail begins one.
func (w *wire) mail() {
	w.r.t.Helper()
	w.say("MAIL FROM:<anna@example.org>", 250)
	w.say("RCPT TO:<bob@peer.example>", 250)
}

// data sends text as DATA and wants code for it.
func (w *wire) data(text string, code int) string {
	w.r.t.Helper()
	w.say("DATA", 354)
	w.write(strings.ReplaceAll(text, "\r\n.", "\r\n..") + ".\r\n")
	return w.expect(code)
}

// say writes a line and wants code.
func (w *wire) say(line string, code int) string {
	w.r.t.Helper()
	w.write(line + "\r\n")
	return w.expect(code)
}

func (w *wire) write(s string) {
	w.r.t.Helper()
	if _, err := w.conn.Write([]byte(s)); err != nil {
		w.r.t.Fatalf("writing %.40q: %v", s, err)
	}
}

// expect reads one reply and wants code.
func (w *wire) expect(code int) string {
	w.r.t.Helper()
	reply, err := w.reply()
	if err != nil || !strings.HasPrefix(reply, strconv.Itoa(code)) {
		w.r.t.Fatalf("got %q, %v, want %d\n%s", reply, err, code, w.r.log)
	}
	return reply
}

func (w *wire) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return all.String(), err
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String(), nil
		}
	}
}
