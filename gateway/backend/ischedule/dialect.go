package ischedule

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// dialect is what a calendar server wants other than the draft has it.
type dialect struct {
	// bare: Recipient without mailto:. Cyrus (3.6.1, find_attendee) compares the field as it stands with each ATTENDEE less
	// its mailto:, so it answers 2.0 to a CANCEL for mailto:user@host and leaves the event standing.
	bare bool
}

// dialectTimeout bounds the question who the server is; without an answer the draft's own form goes out.
const dialectTimeout = 5 * time.Second

// spoken asks the server once who it is: the Server field of its answer to OPTIONS, the only one in which Cyrus gives its
// name. What was learned is forgotten when a delivery cannot reach the server: it may come back as another.
func (b *Backend) spoken(ctx context.Context) dialect {
	if known := b.dialect.Load(); known != nil {
		return *known
	}
	ctx, cancel := context.WithTimeout(ctx, dialectTimeout)
	defer cancel()
	var learned dialect
	if resp, err := b.do(ctx, http.MethodOptions, http.Header{"User-Agent": {b.userAgent}}, nil); err == nil {
		_ = resp.Body.Close()
		learned.bare = strings.HasPrefix(resp.Header.Get("Server"), "Cyrus-HTTP/")
	}
	b.dialect.Store(&learned) // a server that cannot be reached fails the delivery too, and is asked again
	return learned
}

// recipient is how an address goes into the Recipient field.
func (d dialect) recipient(written cua.Address) string {
	uri := written.URI()
	if d.bare && written.Scheme() == "mailto" {
		return uri[len("mailto:"):]
	}
	return uri
}
