package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// settings are the bounds of one listener, from the limits of the snapshot. http.Server cannot change them while it
// serves, so a change makes a new server behind the same socket.
type settings struct {
	headerTimeout  time.Duration
	writeTimeout   time.Duration // from the header's arrival to the last byte of the answer
	maxHeaderBytes int
}

// front is one listening socket and the http.Server behind it.
type front struct {
	door    *door
	handler http.Handler
	// secure makes a connection ready for the server: TLS, or the choice between TLS and plain. It may wait for the client
	// as long as for a header: it runs in a goroutine of the connection's own. nil = plain.
	secure func(*countedConn) (net.Conn, error)
	log    *slog.Logger

	mu       sync.Mutex
	settings settings
	feed     *feed
	servers  []*http.Server // the last one serves; those before it are finishing what they had begun
	closing  chan struct{}  // closed when nothing is accepted any more
	pending  map[*countedConn]struct{}
	wg       sync.WaitGroup // accept loop, connections being secured, servers
}

func newFront(name string, ln net.Listener, handler http.Handler, m *metrics, log *slog.Logger) *front {
	m.expectRequests(name)
	return &front{door: newDoor(name, ln, m, log), handler: handler, log: log,
		closing: make(chan struct{}), pending: make(map[*countedConn]struct{})}
}

// start serves; configure must have been called.
func (f *front) start() {
	f.wg.Go(f.accept)
}

// configure puts a server with other bounds behind the socket. Connections of the old one end after the request they are in.
func (f *front) configure(s settings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosing() || f.feed != nil && f.settings == s {
		return
	}
	retired := f.servers
	f.settings = s
	f.feed = &feed{addr: f.door.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{
		Handler:           f.handler,
		ReadHeaderTimeout: s.headerTimeout,
		WriteTimeout:      s.writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    s.maxHeaderBytes,
		HTTP2:             http2Limits(s),
		// "OPTIONS *" is answered by the handler: D05 §8.2
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(f.log.With("listener", f.door.name).Handler(), slog.LevelDebug),
	}
	f.servers = append(slices.Clone(retired), server)
	feed := f.feed
	f.wg.Go(func() { _ = server.Serve(feed) })
	if len(retired) > 0 {
		last := retired[len(retired)-1]
		f.wg.Go(func() { f.retire(last, s.writeTimeout) })
	}
}

// retire lets a replaced server finish. Whatever it had begun ends by its own deadlines; timeout is for what does not.
func (f *front) retire(server *http.Server, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers = slices.DeleteFunc(slices.Clone(f.servers), func(s *http.Server) bool { return s == server })
}

// idleTimeout is how long a connection may wait for its next request.
const idleTimeout = time.Minute

// http2Limits bound what one HTTP/2 connection may hold: streams × (header list + receive window).
func http2Limits(s settings) *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          32,
		MaxDecoderHeaderTableSize:     4 << 10,
		MaxReadFrameSize:              16 << 10,
		MaxReceiveBufferPerConnection: 256 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		SendPingTimeout:               idleTimeout / 2,
		PingTimeout:                   s.headerTimeout,
		WriteByteTimeout:              s.headerTimeout,
	}
}

func (f *front) accept() {
	for {
		conn, err := f.door.admit()
		if err != nil {
			return
		}
		f.hand(conn)
	}
}

// hand makes conn ready and gives it to the server.
func (f *front) hand(conn *countedConn) {
	if f.secure == nil {
		f.deliver(conn)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosing() {
		_ = conn.Close()
		return
	}
	f.pending[conn] = struct{}{}
	timeout := f.settings.headerTimeout
	f.wg.Go(func() {
		ready, err := f.ready(conn, timeout)
		f.mu.Lock()
		delete(f.pending, conn)
		f.mu.Unlock()
		if err != nil {
			_ = conn.Close()
			return
		}
		f.deliver(ready)
	})
}

func (f *front) ready(conn *countedConn, timeout time.Duration) (net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	ready, err := f.secure(conn)
	if err != nil {
		return nil, err
	}
	return ready, conn.SetReadDeadline(time.Time{})
}

func (f *front) isClosing() bool {
	select {
	case <-f.closing:
		return true
	default:
		return false
	}
}

// deliver gives conn to the server of the moment.
func (f *front) deliver(conn net.Conn) {
	for {
		f.mu.Lock()
		feed := f.feed
		f.mu.Unlock()
		select {
		case feed.conns <- conn:
			return
		case <-f.closing:
			_ = conn.Close()
			return
		case <-feed.closed: // replaced meanwhile
		}
	}
}

// shutdown accepts no more, waits for the requests in flight until ctx ends, then cuts what is left and says so.
func (f *front) shutdown(ctx context.Context) error {
	_ = f.door.Close()
	f.mu.Lock()
	close(f.closing)
	servers := f.servers
	for conn := range f.pending { // no byte of a request was read from these
		_ = conn.Close()
	}
	f.mu.Unlock()
	var errs []error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, err, server.Close())
		}
	}
	f.wg.Wait()
	return errors.Join(errs...)
}

// feed is the net.Listener through which a server gets its connections.
type feed struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *feed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *feed) Addr() net.Addr { return f.addr }
