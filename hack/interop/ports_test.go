//go:build interop

package interop

import (
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"testing"
)

// ports gives out ports below the range from which the system does so by itself: nobody takes one between this look and
// the server's start, and none is given out twice.
type ports struct{ next int }

func (p *ports) free(t *testing.T) string {
	t.Helper()
	if p.next == 0 {
		p.next = 20000 + mathrand.IntN(10000)
	}
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", p.next)
		p.next++
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		_ = u.Close()
		return addr
	}
	t.Fatal("no free port")
	return ""
}
