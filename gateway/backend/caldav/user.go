package caldav

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

// user finds a calendar user on the server; errUnknownUser when there is none. IS-BACK-3.
func (b *Backend) user(ctx context.Context, a cua.Address) (*user, error) {
	u, known := b.users.get(a)
	if !known {
		var err error
		if u, err = b.lookUp(ctx, a); err != nil && !errors.Is(err, errUnknownUser) {
			return nil, err
		}
		b.users.put(a, u)
	}
	if u == nil {
		return nil, errUnknownUser
	}
	return u, nil
}

func (b *Backend) lookUp(ctx context.Context, a cua.Address) (*user, error) {
	if a.Local() == "" {
		return nil, errUnknownUser
	}
	if b.server.PrincipalTemplate == "" {
		return b.search(ctx, a)
	}
	path, ok := principalPath(b.server.PrincipalTemplate, a)
	if !ok {
		return nil, errUnknownUser
	}
	principal, err := b.client.resolve(b.client.base, path)
	if err != nil {
		return nil, err
	}
	answer, list, err := b.client.propfind(ctx, principal, "0", principalProps)
	if err != nil {
		return nil, err
	}
	switch {
	case answer.status == http.StatusNotFound, answer.status == http.StatusGone:
		return nil, errUnknownUser
	case answer.status == http.StatusForbidden:
		return nil, forbidden("the user's principal", answer.body)
	case len(list) == 0:
		return nil, fmt.Errorf("calendar server answers a principal with HTTP status %d", answer.status)
	}
	props := list[0].found()
	if props == nil {
		return nil, errUnknownUser
	}
	if !b.belongs(props, a) {
		return nil, errUnknownUser
	}
	return b.userOf(answer.at, props)
}

// principalPath substitutes an address into the template, {local} and {address} as one escaped segment each. Values that would be
// no segment, or another one, are nobody's.
func principalPath(template string, a cua.Address) (string, bool) {
	segments := strings.Split(template, "/")
	for i, s := range segments {
		switch s {
		case "{local}":
			s = a.Local()
		case "{address}":
			s = a.Local() + "@" + a.Domain()
		default:
			continue
		}
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, `/\`) {
			return "", false
		}
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/"), true
}

// belongs says whether a principal is the address's. Where the server knows mail addresses, one must be that address; http ones
// and paths say nothing.
func (b *Backend) belongs(p *properties, a cua.Address) bool {
	mail := 0
	if p.Addresses != nil {
		for _, h := range p.Addresses.List {
			own, err := cua.Parse(strings.TrimSpace(h))
			if err != nil || own.Scheme() != "mailto" {
				continue
			}
			if mail++; own.Equal(a) {
				return true
			}
		}
	}
	return mail == 0 && b.profile.templateOnly
}

// search finds a user by calendar-user-address-set in the server's principal collections (RFC 3744 §5.8, §9.4). The server's answer is a
// proposal: it may match parts of addresses.
func (b *Backend) search(ctx context.Context, a cua.Address) (*user, error) {
	collections, err := b.principalCollections(ctx)
	if err != nil {
		return nil, err
	}
	for _, collection := range collections {
		answer, list, err := b.client.query(ctx, "REPORT", collection, "0", principalSearch(a.Local()+"@"+a.Domain()))
		if err != nil {
			return nil, err
		}
		if answer.status == http.StatusForbidden {
			return nil, forbidden("the search for users", answer.body)
		}
		if answer.status != http.StatusMultiStatus {
			return nil, &refusal{
				status: ischedule.StatusNoScheduling, description: "users cannot be found", log: true,
				cause: fmt.Sprintf("the server answers principal-property-search with HTTP status %d: give a principalTemplate", answer.status),
			}
		}
		if u, err := b.theOne(answer.at, list, a); u != nil || err != nil {
			return u, err
		}
	}
	return nil, errUnknownUser
}

// theOne is the principal with the address, nil when there is none. Where users may set their addresses themselves, two can claim one:
// then nobody has it.
func (b *Backend) theOne(from *url.URL, list []davResponse, a cua.Address) (*user, error) {
	var one *url.URL
	var its *properties
	for i := range list {
		props := list[i].found()
		if props == nil || props.Addresses == nil || len(list[i].Hrefs) == 0 || !b.belongs(props, a) {
			continue
		}
		principal, err := b.client.resolve(from, list[i].Hrefs[0])
		if err != nil {
			return nil, err
		}
		if one != nil && principal.Path != one.Path {
			return nil, &refusal{
				status: ischedule.StatusNoScheduling, description: "the address is not one user's", log: true,
				cause: "several principals have the same address in their calendar-user-address-set",
			}
		}
		one, its = principal, props
	}
	if one == nil {
		return nil, nil
	}
	return b.userOf(one, its)
}

const maxCollections = 4

// principalCollections are where users are looked for: as the configured URL says, or the principal we are.
func (b *Backend) principalCollections(ctx context.Context) ([]*url.URL, error) {
	at := b.client.base
	for range 2 {
		answer, list, err := b.client.propfind(ctx, at, "0", baseProps)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 || list[0].found() == nil {
			break
		}
		props := list[0].found()
		var out []*url.URL
		for _, h := range props.Principals.List[:min(len(props.Principals.List), maxCollections)] {
			u, err := b.client.resolve(answer.at, h)
			if err != nil {
				return nil, err
			}
			out = append(out, u)
		}
		if out != nil {
			return out, nil
		}
		if props.Self.first() == "" {
			break
		}
		if at, err = b.client.resolve(answer.at, props.Self.first()); err != nil {
			return nil, err
		}
	}
	return nil, &refusal{
		status: ischedule.StatusNoScheduling, description: "users cannot be found", log: true,
		cause: "the server names no principal-collection-set at the configured URL: correct it, or give a principalTemplate",
	}
}

// userOf reads where a principal's calendars are.
func (b *Backend) userOf(principal *url.URL, p *properties) (*user, error) {
	if p.Home.first() == "" {
		return nil, &refusal{
			status: ischedule.StatusNoScheduling, description: "the user has no calendars", log: true,
			cause: "the server names no calendar-home-set for a user: no CalDAV account, or no privilege to read the principal",
		}
	}
	u := &user{principal: principal}
	var err error
	if u.home, err = b.client.resolve(principal, p.Home.first()); err != nil {
		return nil, err
	}
	if in := p.Inbox.first(); in != "" {
		if u.inbox, err = b.client.resolve(principal, in); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// forbidden is the refusal for a 403: a person has to grant something.
func forbidden(what string, body []byte) *refusal {
	name, _, privilege := condition(body)
	cause := "the server forbids " + what + " to the configured credentials"
	switch {
	case privilege != "":
		cause += "; they need the privilege " + privilege
	case name != "" && name != "need-privileges":
		cause += ": " + name
	}
	return &refusal{status: ischedule.StatusNoScheduling, description: "the calendar server does not let us in", cause: cause, log: true}
}
