package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// BenchmarkPeer measures the processor time that the peer itself takes: it is a process of its own, and the gateway and the
// calendar server are in this one. The figure to look at is messages/cpu-s. Linux only.
func BenchmarkPeer(b *testing.B) {
	for _, algorithm := range []string{"rsa-2048", "ed25519"} {
		for _, share := range []string{"0", "0.05", "0.5"} {
			b.Run(fmt.Sprintf("%s/new-connections=%s", algorithm, share), func(b *testing.B) {
				w := newWorld(b)
				key, record, _ := w.key(algorithm)
				addrs, _ := w.run(w.snapshot("example.org", "sender.example", record))
				p := w.send(addrs.Public, key, "--new-connections", share, "--in-flight", "16")
				used := p.cpu()
				p.ask("POST", "/rate?per-second=20000")
				p.until("messages are sent", func(r load.Report) bool { return r.Sent >= b.N })
				r := p.ask("POST", "/settle")
				w.noneFailed(r)
				used = p.cpu() - used
				b.ReportMetric(float64(used.Microseconds())/float64(r.Sent), "cpu-µs/message")
				b.ReportMetric(float64(r.Sent)/used.Seconds(), "messages/cpu-s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// cpu is the user and system time of the process: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("no /proc to read processor times from: %v", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
