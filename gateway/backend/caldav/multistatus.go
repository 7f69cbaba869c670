package caldav

import (
	"encoding/xml"
	"strings"
)

// multistatus is RFC 4918 §13, in what we ask for.
type multistatus struct {
	XMLName   xml.Name      `xml:"DAV: multistatus"`
	Responses []davResponse `xml:"DAV: response"`
}

type davResponse struct {
	Hrefs     []string   `xml:"DAV: href"`
	Status    string     `xml:"DAV: status"`
	Propstats []propstat `xml:"DAV: propstat"`
}

type propstat struct {
	Status string     `xml:"DAV: status"`
	Prop   properties `xml:"DAV: prop"`
}

// properties are all that we ever ask for (RFC 4918, 3744, 4791, 6638, 5397).
type properties struct {
	Type        resourceType `xml:"DAV: resourcetype"`
	ETag        string       `xml:"DAV: getetag"`
	Owner       hrefs        `xml:"DAV: owner"`
	Self        hrefs        `xml:"DAV: current-user-principal"`
	Principals  hrefs        `xml:"DAV: principal-collection-set"`
	Home        hrefs        `xml:"urn:ietf:params:xml:ns:caldav calendar-home-set"`
	Addresses   *hrefs       `xml:"urn:ietf:params:xml:ns:caldav calendar-user-address-set"`
	Inbox       hrefs        `xml:"urn:ietf:params:xml:ns:caldav schedule-inbox-URL"`
	Outbox      hrefs        `xml:"urn:ietf:params:xml:ns:caldav schedule-outbox-URL"`
	Default     hrefs        `xml:"urn:ietf:params:xml:ns:caldav schedule-default-calendar-URL"`
	Components  *components  `xml:"urn:ietf:params:xml:ns:caldav supported-calendar-component-set"`
	Transparent *struct{}    `xml:"urn:ietf:params:xml:ns:caldav schedule-calendar-transp>transparent"`
	Zone        string       `xml:"urn:ietf:params:xml:ns:caldav calendar-timezone"`
	Data        string       `xml:"urn:ietf:params:xml:ns:caldav calendar-data"`
	CTag        string       `xml:"http://calendarserver.org/ns/ getctag"`
	SyncToken   string       `xml:"DAV: sync-token"`
}

type hrefs struct {
	List []string `xml:"DAV: href"`
}

// first is the first href, "" when there is none.
func (h hrefs) first() string {
	if len(h.List) == 0 {
		return ""
	}
	return h.List[0]
}

type resourceType struct {
	Calendar *struct{} `xml:"urn:ietf:params:xml:ns:caldav calendar"`
	Inbox    *struct{} `xml:"urn:ietf:params:xml:ns:caldav schedule-inbox"`
	Shared   *struct{} `xml:"http://calendarserver.org/ns/ shared"` // by somebody else, who has "shared-owner"
}

type components struct {
	List []struct {
		Name string `xml:"name,attr"`
	} `xml:"urn:ietf:params:xml:ns:caldav comp"`
}

// takes says whether a calendar stores a kind of component; one that does not say so stores all (RFC 4791 §5.2.3).
func (c *components) takes(name string) bool {
	if c == nil || len(c.List) == 0 {
		return true
	}
	for _, comp := range c.List {
		if strings.EqualFold(comp.Name, name) {
			return true
		}
	}
	return false
}

// found are the properties that the server has, nil when the resource itself is not there for us.
func (r *davResponse) found() *properties {
	for i := range r.Propstats {
		if statusOK(r.Propstats[i].Status) {
			return &r.Propstats[i].Prop
		}
	}
	if r.Status != "" && !statusOK(r.Status) {
		return nil
	}
	return &properties{}
}

// statusOK reads "HTTP/1.1 200 OK".
func statusOK(line string) bool {
	f := strings.Fields(line)
	return len(f) >= 2 && strings.HasPrefix(f[1], "2")
}

// readMultistatus reads a 207 answer.
func readMultistatus(body []byte) ([]davResponse, error) {
	var m multistatus
	if err := readXML(body, &m); err != nil {
		return nil, err
	}
	return m.Responses, nil
}

// scheduleResponse is RFC 6638 §10.2.
type scheduleResponse struct {
	XMLName   xml.Name `xml:"urn:ietf:params:xml:ns:caldav schedule-response"`
	Responses []struct {
		Recipient hrefs  `xml:"urn:ietf:params:xml:ns:caldav recipient"`
		Status    string `xml:"urn:ietf:params:xml:ns:caldav request-status"`
		Data      string `xml:"urn:ietf:params:xml:ns:caldav calendar-data"`
	} `xml:"urn:ietf:params:xml:ns:caldav response"`
}

// davError is the body of a refusal (RFC 4918 §16): the condition's name, and what comes with it.
type davError struct {
	XMLName    xml.Name `xml:"DAV: error"`
	Conditions []struct {
		XMLName xml.Name
		Href    string `xml:"DAV: href"`
		Needs   []struct {
			Privilege struct {
				Names []struct{ XMLName xml.Name } `xml:",any"`
			} `xml:"DAV: privilege"`
		} `xml:"DAV: resource"`
	} `xml:",any"`
}

// condition is the first condition of a refusal: its name, the href it names, and the privilege that is needed; "" each when
// the server does not say.
func condition(body []byte) (name, href, privilege string) {
	var e davError
	if readXML(body, &e) != nil || len(e.Conditions) == 0 {
		return "", "", ""
	}
	c := &e.Conditions[0]
	for _, r := range c.Needs {
		for _, p := range r.Privilege.Names {
			privilege = p.XMLName.Local
		}
	}
	return printable(c.XMLName.Local), c.Href, printable(privilege)
}

// printable makes an XML name of the server fit for a log.
func printable(name string) string {
	const most = 64
	if len(name) > most {
		name = name[:most]
	}
	return strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, name)
}
