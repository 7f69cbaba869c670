package caldav

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// calendar is one calendar collection of a user.
type calendar struct {
	url         *url.URL
	components  *components
	transparent bool   // takes no time (RFC 6638 §9.1)
	zone        string // calendar-timezone
}

// maxCalendars of one user are looked into.
const maxCalendars = 100

// calendars lists the user's own calendars, the default one first: the one that the server delivers to (RFC 6638 §9.2), else
// the one it makes for everybody. Calendars that others share with the user are theirs, not the user's: an event may be in both.
func (b *Backend) calendars(ctx context.Context, u *user) ([]calendar, error) {
	answer, list, err := b.client.propfind(ctx, u.home, "1", homeProps)
	if err != nil {
		return nil, err
	}
	if answer.status == http.StatusForbidden {
		return nil, forbidden("the user's calendar home", answer.body)
	}
	if answer.status != http.StatusMultiStatus {
		return nil, fmt.Errorf("calendar server answers a calendar home with HTTP status %d", answer.status)
	}
	shared := b.sharedName(u)
	var found []calendar
	named := ""
	for i := range list {
		props := list[i].found()
		if props == nil || len(list[i].Hrefs) == 0 {
			continue
		}
		if props.Type.Inbox != nil && shared == "" && props.Default.first() != "" {
			named = props.Default.first()
		}
		if props.Type.Calendar == nil || props.Type.Shared != nil || !b.owns(u, answer.at, props) {
			continue
		}
		at, err := b.client.resolve(answer.at, list[i].Hrefs[0])
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(path.Base(at.Path), shared) {
			found = append(found, calendarOf(at, props))
		}
	}
	if shared != "" {
		found, err = b.withSharedDefault(ctx, u, shared, found)
		return b.few(found), err
	}
	if named == "" && u.inbox != nil {
		if named, err = b.inboxDefault(ctx, u); err != nil {
			return nil, err
		}
	}
	if named != "" {
		at, err := b.client.resolve(answer.at, named)
		if err != nil {
			return nil, err
		}
		named = strings.TrimSuffix(at.Path, "/")
	}
	return b.few(b.sorted(found, named, "")), nil
}

// few bounds how many calendars are looked into, the default one among them.
func (b *Backend) few(list []calendar) []calendar {
	if len(list) <= maxCalendars {
		return list
	}
	b.log.Warn("a user has more calendars than are looked into", "calendars", len(list), "looked into", maxCalendars)
	return list[:maxCalendars]
}

func calendarOf(at *url.URL, p *properties) calendar {
	if !strings.HasSuffix(at.Path, "/") {
		at = at.JoinPath("/")
	}
	return calendar{at, p.Components, p.Transparent != nil, p.Zone}
}

// owns says whether a collection is the user's own, as far as the server says.
func (b *Backend) owns(u *user, from *url.URL, p *properties) bool {
	if p.Owner.first() == "" {
		return true
	}
	owner, err := b.client.resolve(from, p.Owner.first())
	return err == nil && strings.TrimSuffix(owner.Path, "/") == strings.TrimSuffix(u.principal.Path, "/")
}

// sorted puts the default calendar first: the one at the path named, else by the names of the profile.
func (b *Backend) sorted(list []calendar, named, prefix string) []calendar {
	rank := func(c calendar) int {
		if strings.TrimSuffix(c.url.Path, "/") == named {
			return -1
		}
		if i := slices.Index(b.profile.defaults, strings.TrimPrefix(path.Base(c.url.Path), prefix)); i >= 0 {
			return i
		}
		return len(b.profile.defaults)
	}
	slices.SortStableFunc(list, func(x, y calendar) int { return rank(x) - rank(y) })
	return list
}

// inboxDefault asks the scheduling Inbox, where the home does not list it, which calendar it delivers to.
func (b *Backend) inboxDefault(ctx context.Context, u *user) (string, error) {
	_, list, err := b.client.propfind(ctx, u.inbox, "0", homeProps)
	if err != nil || len(list) == 0 || list[0].found() == nil {
		return "", err
	}
	return list[0].found().Default.first(), nil
}

// sharedName is what the names of the user's calendars begin with when they are seen in the home of whom we log in as, "" when the
// home is the user's own.
func (b *Backend) sharedName(u *user) string {
	name := path.Base(u.principal.Path)
	if !b.profile.sharedHome || path.Base(u.home.Path) == name {
		return ""
	}
	return name + "."
}

// withSharedDefault adds the default calendar, which is listed in that home only when it was subscribed to.
func (b *Backend) withSharedDefault(ctx context.Context, u *user, prefix string, list []calendar) ([]calendar, error) {
	list = b.sorted(list, "", prefix)
	name := prefix + b.profile.defaults[0]
	if len(list) > 0 && path.Base(list[0].url.Path) == name {
		return list, nil
	}
	answer, found, err := b.client.propfind(ctx, u.home.JoinPath(name, "/"), "0", homeProps)
	if err != nil {
		return nil, err
	}
	if answer.status == http.StatusForbidden {
		return nil, forbidden("the user's default calendar", answer.body)
	}
	if len(found) == 0 || found[0].found() == nil || found[0].found().Type.Calendar == nil {
		return list, nil
	}
	return append([]calendar{calendarOf(answer.at, found[0].found())}, list...), nil
}
