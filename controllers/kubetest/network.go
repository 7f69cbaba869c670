package kubetest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
)

// network is a /24 of the loopback network that only this cluster uses. An open listener on its last address is the claim, so
// that the kernel gives it up when the process ends. No program takes addresses there by itself: a port stays free while the
// API server is down.
type network struct {
	a, b  byte // 127.a.b.0
	claim net.Listener

	mu   sync.Mutex
	last byte // address given to a pod
	used map[byte]bool
}

const (
	claimPort        = 10
	firstPod, maxPod = 10, 249
)

func claimNetwork() (*network, error) {
	const size = 64 << 8 // 127.64.0.0 up to 127.127.255.0
	var last error
	for try := range 100 {
		n := (os.Getpid() + try*251) % size
		w := &network{a: byte(64 + n>>8), b: byte(n), last: firstPod - 1, used: map[byte]bool{}}
		if w.claim, last = net.Listen("tcp", netip.AddrPortFrom(w.addr(254), claimPort).String()); last == nil {
			return w, nil
		}
	}
	return nil, fmt.Errorf("no loopback network is free: %w", last)
}

func (w *network) addr(host byte) netip.Addr { return netip.AddrFrom4([4]byte{127, w.a, w.b, host}) }

// lease gives an address to a pod: the one that was free for longest, about.
func (w *network) lease() (netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range maxPod - firstPod + 1 {
		if w.last++; w.last > maxPod {
			w.last = firstPod
		}
		if !w.used[w.last] {
			w.used[w.last] = true
			return w.addr(w.last), nil
		}
	}
	return netip.Addr{}, errors.New("all addresses of the test's network are in use")
}

func (w *network) release(addr netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.used, addr.As4()[3])
}
