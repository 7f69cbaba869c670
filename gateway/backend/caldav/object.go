package caldav

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
)

// object is one calendar object resource, as it was when we read it.
type object struct {
	url  *url.URL
	body []byte // nil = there is none yet
	etag string // strong; "" = none yet, or the server has no usable one
}

// find reads the user's object with the UID; when there is none, it says where one would go. The default calendar comes first. errNoCalendar
// when no calendar takes the component.
func (b *Backend) find(ctx context.Context, calendars []calendar, component, uid string) (*object, error) {
	var place *url.URL
	var hits []*url.URL
	for _, c := range calendars {
		if !c.components.takes(component) {
			continue
		}
		if place == nil {
			place = c.url.JoinPath(objectName(uid))
		}
		found, err := b.query(ctx, c, component, uid)
		if err != nil {
			return nil, err
		}
		hits = append(hits, found...)
	}
	if place == nil {
		return nil, &refusal{status: ischedule.StatusUnsupported, description: "no calendar of the user takes " + component}
	}
	if len(hits) == 0 {
		hits = []*url.URL{place} // where we would have written it: servers' indexes may be behind
	}
	if len(hits) > 1 {
		b.log.Warn("a user has several objects with one UID; the first of the default calendar counts", "objects", len(hits))
	}
	o, err := b.read(ctx, hits[0])
	if o == nil && err == nil {
		o = &object{url: place}
	}
	return o, err
}

// objectName is that of an object that we make: of the UID nothing remains that a path could be made of.
func objectName(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:16]) + ".ics"
}

// query asks a calendar for the objects with the UID. What comes back is checked: a text-match finds parts, and some servers
// ignore filters they do not know.
func (b *Backend) query(ctx context.Context, c calendar, component, uid string) ([]*url.URL, error) {
	answer, list, err := b.client.query(ctx, "REPORT", c.url, "1", byUID(component, uid))
	if err != nil {
		return nil, err
	}
	if answer.status == http.StatusForbidden {
		return nil, forbidden("reading a calendar of the user", answer.body)
	}
	if answer.status != http.StatusMultiStatus {
		return nil, fmt.Errorf("calendar server answers calendar-query with HTTP status %d", answer.status)
	}
	var found []*url.URL
	for i := range list {
		props := list[i].found()
		if props == nil || len(list[i].Hrefs) == 0 || uidOf(props.Data) != uid {
			continue
		}
		at, err := b.client.resolve(answer.at, list[i].Hrefs[0])
		if err != nil {
			return nil, err
		}
		found = append(found, at)
	}
	return found, nil
}

// read gets an object with its entity tag; nil when there is none.
func (b *Backend) read(ctx context.Context, at *url.URL) (*object, error) {
	o, err := b.get(ctx, at)
	if o == nil || err != nil || o.etag != "" {
		return o, err
	}
	// A tag that was asked for before the body was read: what changes in between fails the condition.
	_, list, err := b.client.propfind(ctx, o.url, "0", etagProp)
	if err != nil || len(list) == 0 || list[0].found() == nil {
		return o, err
	}
	etag := strongTag(list[0].found().ETag)
	if o, err = b.get(ctx, at); o != nil && o.etag == "" {
		o.etag = etag
	}
	return o, err
}

func (b *Backend) get(ctx context.Context, at *url.URL) (*object, error) {
	answer, err := b.client.do(ctx, request{http.MethodGet, at, nil, []string{"Accept", "text/calendar"}})
	if err != nil {
		return nil, err
	}
	return readObject(answer)
}

// readObject reads the answer to a GET; nil when there is no object.
func readObject(answer *answer) (*object, error) {
	switch {
	case answer.status == http.StatusNotFound, answer.status == http.StatusGone:
		return nil, nil
	case answer.status == http.StatusForbidden:
		return nil, forbidden("reading an event of the user", answer.body)
	case answer.status != http.StatusOK:
		return nil, fmt.Errorf("calendar server answers GET with HTTP status %d", answer.status)
	}
	return &object{url: answer.at, body: answer.body, etag: strongTag(answer.header.Get("ETag"))}, nil
}

// strongTag is the entity tag when a condition can be made of it: a weak one never matches (RFC 9110 §13.1.1).
func strongTag(tag string) string {
	tag = strings.TrimSpace(tag)
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.ContainsAny(tag[1:len(tag)-1], "\"\r\n") {
		return ""
	}
	return tag
}

// written says what came of a write.
type written struct {
	done      bool     // else the object is another by now
	elsewhere *url.URL // an object with this UID, that is to be changed in place of the one written
}

// store writes the object's new state, nil = removes it, on condition that it is as we read it. IS-BACK-2. The condition is the
// entity tag, not the Schedule-Tag: that one would let us write over what the user's own client has changed meanwhile (RFC 6638 §3.2.10),
// and not every server has it.
func (b *Backend) store(ctx context.Context, o *object, state []byte) (written, error) {
	r := request{method: http.MethodPut, target: o.url, body: state, header: []string{
		"Schedule-Reply", "F", // what we write is no answer of the user's (RFC 6638 §8.1)
	}}
	if state == nil {
		r.method = http.MethodDelete
	} else {
		r.header = append(r.header, "Content-Type", "text/calendar; charset=utf-8")
	}
	switch {
	case o.body == nil:
		r.header = append(r.header, "If-None-Match", "*")
	case o.etag != "":
		r.header = append(r.header, "If-Match", o.etag)
	default:
		return written{}, fmt.Errorf("calendar server gives no strong entity tag: an object cannot be changed safely")
	}
	answer, err := b.client.do(ctx, r)
	if err != nil {
		return written{}, err
	}
	return b.outcome(answer, state == nil)
}

// outcome reads the answer to a write.
func (b *Backend) outcome(a *answer, removal bool) (written, error) {
	switch a.status {
	case http.StatusPreconditionFailed, http.StatusNotFound, http.StatusGone, http.StatusConflict:
		return written{done: removal && a.status != http.StatusPreconditionFailed && a.status != http.StatusConflict}, nil
	case http.StatusForbidden:
		name, href, _ := condition(a.body)
		switch {
		case href != "" && (name == "unique-scheduling-object-resource" || name == "no-uid-conflict"):
			at, err := b.client.resolve(a.at, href)
			return written{elsewhere: at}, err
		case aboutData[name]:
			return written{}, &refusal{status: ischedule.StatusUnsupported, description: "the calendar server refuses the event: " + name, log: true}
		}
		return written{}, forbidden("writing into the user's calendar", a.body)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return written{}, &refusal{
			status: ischedule.StatusUnsupported, description: "the calendar server refuses the event", log: true,
			cause: fmt.Sprintf("the server refuses an event with HTTP status %d", a.status),
		}
	}
	if !a.ok() {
		return written{}, fmt.Errorf("calendar server answers a write with HTTP status %d", a.status)
	}
	return written{done: true}, nil
}

// aboutData are the conditions that are about the event, not about us (RFC 4791 §5.3.2.1).
var aboutData = map[string]bool{
	"supported-calendar-data": true, "valid-calendar-data": true, "valid-calendar-object-resource": true, "supported-calendar-component": true,
	"max-resource-size": true, "min-date-time": true, "max-date-time": true, "max-instances": true, "max-attendees-per-instance": true,
}
