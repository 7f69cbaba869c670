package kubetest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

// network is a /24 of the loopback network that only this cluster uses. An open listener on its last address is the claim, so
// that the kernel gives it up when the process ends. No program takes addresses there by itself: a port stays free while the
// API server is down.
type network struct {
	prefix [3]byte
	claim  net.Listener
}

const claimPort = 10

func claimNetwork() (*network, error) {
	const size = 64 << 8 // 127.64.0.0 up to 127.127.255.0
	for i := range size {
		n := (os.Getpid() + i*251) % size
		w := &network{prefix: [3]byte{127, byte(64 + n>>8), byte(n)}}
		l, err := net.Listen("tcp", netip.AddrPortFrom(w.addr(254), claimPort).String())
		if err == nil {
			w.claim = l
			return w, nil
		}
		if i == 100 {
			return nil, fmt.Errorf("no loopback network is free: %w", err)
		}
	}
	panic("unreachable")
}

func (w *network) addr(host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{w.prefix[0], w.prefix[1], w.prefix[2], host})
}
