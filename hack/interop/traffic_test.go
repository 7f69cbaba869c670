//go:build interop

package interop

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// traffic is what has left an organisation so far: messages that its gateway sent to receivers, and mails that its smarthost took.
type traffic struct{ messages, mails int }

func (f *federation) traffic(t *testing.T, s *side) traffic {
	t.Helper()
	return traffic{f.counted(t, s, `calfed_sender_request_duration_seconds_count{receiver="peer"}`), s.smarthost.taken(t)}
}

// counted is a metric of the side's gateway, named with its labels; 0 until there is one.
func (f *federation) counted(t *testing.T, s *side, metric string) int {
	t.Helper()
	resp, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 1<<20))
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), metric+" "); found {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return 0
}

// leaves does something and checks what leaves the two sides because of it: nothing but that, neither for what the
// gateways write nor for what the calendar servers make of it. Calendar servers and gateways answer when all that is
// done, so there is nothing to wait for but what do itself waits for.
func (f *federation) leaves(t *testing.T, from *side, want traffic, do func()) {
	t.Helper()
	if got := f.left(t, from, do); got != want {
		t.Errorf("%d messages and %d mails left %s, want %d and %d", got.messages, got.mails, from.zone, want.messages, want.mails)
	}
}

// left does something and tells what leaves the side because of it; from the other nothing may leave.
func (f *federation) left(t *testing.T, from *side, do func()) traffic {
	t.Helper()
	since := func(s *side, begin traffic) traffic {
		end := f.traffic(t, s)
		return traffic{end.messages - begin.messages, end.mails - begin.mails}
	}
	to := f.other(from)
	begin, beginOther := f.traffic(t, from), f.traffic(t, to)
	do()
	if got := since(to, beginOther); got != (traffic{}) {
		t.Errorf("%d messages and %d mails left %s, want none", got.messages, got.mails, to.zone)
	}
	return since(from, begin)
}
