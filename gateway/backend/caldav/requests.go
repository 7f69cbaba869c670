package caldav

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const xmlType = "application/xml; charset=utf-8"

// What is asked of each kind of resource.
const (
	baseProps      = "<D:current-user-principal/><D:principal-collection-set/>"
	principalProps = "<C:calendar-home-set/><C:calendar-user-address-set/><C:schedule-inbox-URL/><C:schedule-outbox-URL/>"
	homeProps      = "<D:resourcetype/><D:owner/><C:supported-calendar-component-set/><C:schedule-calendar-transp/><C:calendar-timezone/><C:schedule-default-calendar-URL/>"
	etagProp       = "<D:getetag/>"
	stateProps     = `<S:getctag xmlns:S="http://calendarserver.org/ns/"/><D:sync-token/><D:getetag/>`
	objectProps    = "<C:calendar-data/>"
)

// document is an XML request: root is its qualified name, D: is DAV:, C: CalDAV.
func document(root, content string) []byte {
	return []byte(`<?xml version="1.0" encoding="utf-8"?>` + "\n<" + root + ` xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">` + content + "</" + root + ">\n")
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes everything
	return b.String()
}

// propfind asks for properties (RFC 4918 §9.1); depth 0 or 1.
func (c *client) propfind(ctx context.Context, target *url.URL, depth, props string) (*answer, []davResponse, error) {
	return c.query(ctx, "PROPFIND", target, depth, document("D:propfind", "<D:prop>"+props+"</D:prop>"))
}

// query makes a request that is answered by a multistatus; any other answer comes without responses.
func (c *client) query(ctx context.Context, method string, target *url.URL, depth string, body []byte) (*answer, []davResponse, error) {
	a, err := c.do(ctx, request{method, target, body, []string{"Content-Type", xmlType, "Depth", depth}})
	if err != nil || a.status != http.StatusMultiStatus {
		return a, nil, err
	}
	list, err := readMultistatus(a.body)
	return a, list, err
}

// byUID is a calendar-query (RFC 4791 §7.8) for the objects with a UID.
func byUID(component, uid string) []byte {
	return calendarQuery(component, `<C:prop-filter name="UID"><C:text-match collation="i;octet">`+escaped(uid)+`</C:text-match></C:prop-filter>`)
}

// inRange is a calendar-query for the events that touch a time (RFC 4791 §9.9).
func inRange(start, end time.Time) []byte { return calendarQuery("VEVENT", timeRange(start, end)) }

func calendarQuery(component, filter string) []byte {
	return document("C:calendar-query", "<D:prop>"+objectProps+`</D:prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="`+
		escaped(component)+`">`+filter+"</C:comp-filter></C:comp-filter></C:filter>")
}

func timeRange(start, end time.Time) string {
	return fmt.Sprintf(`<C:time-range start="%s" end="%s"/>`, start.UTC().Format(utcForm), end.UTC().Format(utcForm))
}

const utcForm = "20060102T150405Z"

// principalSearch asks for the principals with a calendar user address (RFC 3744 §9.4). Servers compare with mail addresses: a
// URI finds nobody on Cyrus.
func principalSearch(address string) []byte {
	return document("D:principal-property-search", "<D:property-search><D:prop><C:calendar-user-address-set/></D:prop><D:match>"+
		escaped(address)+"</D:match></D:property-search><D:prop>"+principalProps+"</D:prop>")
}
