package caldavtest

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/emersion/go-ical"
	"github.com/emersion/go-webdav"
	"github.com/emersion/go-webdav/caldav"
)

// userKey is the context key of the user whose calendar a request is about.
type userKey struct{}

func userOf(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}

// library serves collections and queries by go-webdav. What writes objects is not among it.
type library struct{ s *Server }

// CurrentUserPrincipal implements webdav.UserPrincipalBackend.
func (l *library) CurrentUserPrincipal(ctx context.Context) (string, error) {
	return prefix + "/" + userOf(ctx) + "/", nil
}

// CalendarHomeSetPath implements caldav.Backend.
func (l *library) CalendarHomeSetPath(ctx context.Context) (string, error) {
	return prefix + "/" + userOf(ctx) + "/calendars/", nil
}

func calendarPath(ctx context.Context) string {
	return prefix + "/" + userOf(ctx) + "/calendars/calendar/"
}

func refused(status int) error { return webdav.NewHTTPError(status, nil) }

// CreateCalendar implements caldav.Backend: there is one, and no other.
func (l *library) CreateCalendar(context.Context, *caldav.Calendar) error {
	return refused(http.StatusForbidden)
}

// ListCalendars implements caldav.Backend.
func (l *library) ListCalendars(ctx context.Context) ([]caldav.Calendar, error) {
	return []caldav.Calendar{{
		Path: calendarPath(ctx), Name: "Calendar", MaxResourceSize: maxBody,
		SupportedComponentSet: []string{ical.CompEvent, ical.CompToDo},
	}}, nil
}

// GetCalendar implements caldav.Backend.
func (l *library) GetCalendar(ctx context.Context, path string) (*caldav.Calendar, error) {
	list, err := l.ListCalendars(ctx)
	if err != nil || strings.TrimSuffix(path, "/")+"/" != list[0].Path {
		return nil, refused(http.StatusNotFound)
	}
	return &list[0], nil
}

func (o item) read() (*caldav.CalendarObject, error) {
	calendar, err := ical.NewDecoder(bytes.NewReader(o.data)).Decode()
	if err != nil {
		return nil, err
	}
	return &caldav.CalendarObject{Path: o.path, ContentLength: int64(len(o.data)), ETag: etag(o.data), Data: calendar}, nil
}

// GetCalendarObject implements caldav.Backend.
func (l *library) GetCalendarObject(ctx context.Context, path string, _ *caldav.CalendarCompRequest) (*caldav.CalendarObject, error) {
	data := l.s.get(userOf(ctx), path)
	if data == nil {
		return nil, refused(http.StatusNotFound)
	}
	return item{path, data}.read()
}

// ListCalendarObjects implements caldav.Backend.
func (l *library) ListCalendarObjects(ctx context.Context, path string, _ *caldav.CalendarCompRequest) ([]caldav.CalendarObject, error) {
	if _, err := l.GetCalendar(ctx, path); err != nil {
		return nil, err
	}
	var out []caldav.CalendarObject
	for _, o := range l.s.all(userOf(ctx)) {
		read, err := o.read()
		if err != nil {
			return nil, err
		}
		out = append(out, *read)
	}
	return out, nil
}

// QueryCalendarObjects implements caldav.Backend.
func (l *library) QueryCalendarObjects(ctx context.Context, path string, query *caldav.CalendarQuery) ([]caldav.CalendarObject, error) {
	all, err := l.ListCalendarObjects(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	return caldav.Filter(query, all)
}

// PutCalendarObject implements caldav.Backend: objects are stored as bytes, elsewhere.
func (l *library) PutCalendarObject(context.Context, string, *ical.Calendar, *caldav.PutCalendarObjectOptions) (*caldav.CalendarObject, error) {
	return nil, refused(http.StatusForbidden)
}

// DeleteCalendarObject implements caldav.Backend likewise.
func (l *library) DeleteCalendarObject(context.Context, string) error {
	return refused(http.StatusForbidden)
}
