package gateway

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// door is a listening socket that lets in as many connections as its limits say, and counts them.
type door struct {
	net.Listener
	name    string
	limits  connLimits
	metrics *metrics
	log     *slog.Logger

	once   sync.Once
	closed chan struct{}
}

func newDoor(name string, ln net.Listener, m *metrics, log *slog.Logger) *door {
	m.expectConnections(name)
	return &door{Listener: ln, name: name, metrics: m, log: log, closed: make(chan struct{})}
}

// Accept waits for a connection that is let in. The only error is net.ErrClosed.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.admit()
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (d *door) admit() (*countedConn, error) {
	for wait := time.Duration(0); ; {
		conn, err := d.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, net.ErrClosed
		}
		if err != nil {
			// out of file descriptors, most likely: connections that end will cure it
			d.log.Error("cannot accept connections", "listener", d.name, "error", err)
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(wait):
				continue
			case <-d.closed:
				return nil, net.ErrClosed
			}
		}
		wait = 0
		d.metrics.connections.WithLabelValues(d.name).Inc()
		closed := func() { d.metrics.connections.WithLabelValues(d.name).Dec() }
		counted, refused := d.limits.admit(conn, closed)
		if refused == "" {
			return counted, nil
		}
		closed()
		d.metrics.refused.WithLabelValues(d.name, refused).Inc()
		_ = conn.Close()
	}
}

// Close closes the socket; connections that were let in stay.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}
