package mail_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func newWatchedRig(t *testing.T) (*rig, *watchedListener) {
	watched := &watchedListener{read: make(chan string, 1000)}
	return newRigBehind(t, func(ln net.Listener) net.Listener {
		watched.Listener = ln
		return watched
	}), watched
}

// until waits for a connection to have read text.
func (l *watchedListener) until(text string) {
	for s := range l.read {
		if strings.Contains(s, text) {
			return
		}
	}
}

// TestShutdownLosesNothing: mail under way is answered, the rest is told to come again.
//
// Proves: IS-SUB-2
func TestShutdownLosesNothing(t *testing.T) {
	r, watched := newWatchedRig(t)
	entered, leave := r.hold()
	text := imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example"))
	taking, sending, idle := r.raw(), r.raw(), r.raw()
	for _, w := range []*wire{taking, sending, idle} {
		w.login()
	}
	taking.mail()
	taking.say("DATA", 354)
	taking.write(text + ".\r\n")
	<-entered
	sending.mail()
	sending.say("DATA", 354)
	sending.write("Subject: half of a mail\r\n")
	watched.until("half of a mail") // so it is being taken

	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(context.Background()) }()
	idle.expect(421)
	if conn, err := net.Dial("tcp", r.addr); err == nil {
		_ = conn.Close()
		t.Error("a new connection")
	}
	sending.write("\r\nand the rest\r\n.\r\n")
	sending.expect(250)
	sending.expect(421)
	leave()
	taking.expect(250)
	taking.expect(421)
	check(t, <-ended)
	if got := r.relay.sent(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestShutdownEnds: what takes longer than there is time for is cut off, and no 250 is said.
//
// Proves: IS-SUB-2
func TestShutdownEnds(t *testing.T) {
	r, watched := newWatchedRig(t)
	w := r.raw()
	w.login()
	w.mail()
	w.say("DATA", 354)
	w.write("Subject: half of a mail\r\n")
	watched.until("half of a mail")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if reply, err := w.reply(); err == nil && strings.HasPrefix(reply, "250") {
		t.Errorf("%q", reply)
	}
	if got := r.relay.sent(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
