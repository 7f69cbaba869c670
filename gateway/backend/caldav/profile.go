package caldav

import "github.com/calfed/calfed/gateway/snapshot"

// profile is how one kind of server differs from the standards, as the interop tests saw it (README.md).
type profile struct {
	// templateOnly: the server searches no principals and knows no user's mail address: the template alone says who
	// is who.
	templateOnly bool
	// sharedHome: another user's calendars are seen inside the home of the user we log in as, each named
	// "{principal's last segment}.{calendar}" (Cyrus redirects there). The default calendar's name is then fixed.
	sharedHome bool
	// freeBusyQuery: free-busy-query is asked before calendars are read. Cyrus shows us other users' events without their own TRANSP,
	// so only its own answer is right. DAViCal's counts meetings that the user declined, Radicale has no such report.
	freeBusyQuery bool
	// silent: what a user answers by storing it, the server tells no organizer elsewhere: DAViCal tells those on itself, Radicale nobody.
	silent bool
	// defaults are the names of the calendar the server makes for everybody, the likeliest first.
	defaults []string
}

var profiles = map[snapshot.CalDAVProfile]profile{
	snapshot.ProfileCyrus:    {sharedHome: true, freeBusyQuery: true, defaults: []string{"Default"}},
	snapshot.ProfileDAViCal:  {silent: true, defaults: []string{"calendar", "home"}},
	snapshot.ProfileRadicale: {templateOnly: true, silent: true, defaults: []string{"calendar", "default", "personal"}},
	snapshot.ProfileSabreDAV: {freeBusyQuery: true, defaults: []string{"personal", "default", "calendar"}},
}
