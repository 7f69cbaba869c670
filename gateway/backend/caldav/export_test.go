package caldav

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// ReadDocuments reads a document as each kind that there is: how many responses, and the condition it names.
func ReadDocuments(body []byte) (responses int, name string) {
	list, _ := readMultistatus(body)
	for i := range list {
		if p := list[i].found(); p != nil {
			_ = uidOf(p.Data)
			_ = zoneOf(p.Zone)
		}
	}
	var s scheduleResponse
	_ = readXML(body, &s)
	name, _, _ = condition(body)
	return len(list) + len(s.Responses), name
}

// Poll looks once for answers, at all calendars whose time has come.
func (b *Backend) Poll(ctx context.Context, send Answer) {
	var looks errgroup.Group
	b.poll(ctx, &looks, send)
	_ = looks.Wait()
}

// SetPatience sets how long a delivery waits for others that change the same object.
func (b *Backend) SetPatience(d time.Duration) { b.turns.wait = d }
