package caldavtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strings"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
)

// The documents of what go-webdav does not serve: principals with their addresses (RFC 6638 §2.4.1), and the search for them
// (RFC 3744 §9.4). Whatever was asked, all that is known comes back.
type (
	multistatus struct {
		XMLName   xml.Name   `xml:"DAV: multistatus"`
		Responses []response `xml:"DAV: response"`
	}
	response struct {
		Href string `xml:"DAV: href"`
		Prop prop   `xml:"DAV: propstat>prop"`
		// one status for all: nothing is looked for in vain
		Status string `xml:"DAV: propstat>status"`
	}
	prop struct {
		ResourceType resourceType `xml:"DAV: resourcetype"`
		DisplayName  string       `xml:"DAV: displayname,omitempty"`
		Principal    *hrefs       `xml:"DAV: current-user-principal"`
		URL          *hrefs       `xml:"DAV: principal-URL"`
		Collections  *hrefs       `xml:"DAV: principal-collection-set"`
		Home         *hrefs       `xml:"urn:ietf:params:xml:ns:caldav calendar-home-set"`
		Addresses    *hrefs       `xml:"urn:ietf:params:xml:ns:caldav calendar-user-address-set"`
		Components   *components  `xml:"urn:ietf:params:xml:ns:caldav supported-calendar-component-set"`
		CTag         string       `xml:"http://calendarserver.org/ns/ getctag,omitempty"`
	}
	components struct {
		List []component `xml:"urn:ietf:params:xml:ns:caldav comp"`
	}
	component struct {
		Name string `xml:"name,attr"`
	}
	resourceType struct {
		Collection *struct{} `xml:"DAV: collection"`
		Principal  *struct{} `xml:"DAV: principal"`
		Calendar   *struct{} `xml:"urn:ietf:params:xml:ns:caldav calendar"`
	}
	hrefs struct {
		Href []string `xml:"DAV: href"`
	}
)

func one(href string) *hrefs { return &hrefs{[]string{href}} }

func (s *Server) principalOf(u *User) response {
	path := prefix + "/" + u.name() + "/"
	addresses := &hrefs{}
	for _, a := range append([]cua.Address{u.Address}, u.Aliases...) {
		addresses.Href = append(addresses.Href, a.URI())
	}
	return response{Href: path, Status: "HTTP/1.1 200 OK", Prop: prop{
		ResourceType: resourceType{Collection: &struct{}{}, Principal: &struct{}{}}, DisplayName: u.name(),
		Principal: one(path), URL: one(path), Collections: one(prefix + "/"), Home: one(path + "calendars/"), Addresses: addresses,
	}}
}

func (s *Server) principal(w http.ResponseWriter, u *User) { serve(w, s.principalOf(u)) }

// calendar answers for the calendar itself, which changes its tag with whatever is in it.
func (s *Server) calendar(w http.ResponseWriter, u *User) {
	hash := sha256.New()
	for _, o := range s.all(u.name()) {
		_, _ = io.WriteString(hash, o.path+"\x00"+etag(o.data)+"\x00")
	}
	serve(w, response{Href: prefix + "/" + u.name() + "/calendars/calendar/", Status: "HTTP/1.1 200 OK", Prop: prop{
		ResourceType: resourceType{Collection: &struct{}{}, Calendar: &struct{}{}}, DisplayName: "Calendar",
		Components: &components{[]component{{ical.CompEvent}, {ical.CompToDo}}}, CTag: hex.EncodeToString(hash.Sum(nil)[:12]),
	}})
}

// root says who is logged in, and where principals are.
func (s *Server) root(w http.ResponseWriter, login string) {
	r := response{Href: prefix + "/", Status: "HTTP/1.1 200 OK", Prop: prop{
		ResourceType: resourceType{Collection: &struct{}{}}, Collections: one(prefix + "/"),
	}}
	if s.users[login] != nil {
		r.Prop.Principal = one(prefix + "/" + login + "/")
	}
	serve(w, r)
}

// search answers principal-property-search: whose address holds the text looked for.
func (s *Server) search(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "the question is too large", http.StatusRequestEntityTooLarge)
		return
	}
	var question struct {
		XMLName xml.Name
		Match   []string `xml:"DAV: property-search>match"`
	}
	if err := xml.Unmarshal(body, &question); err != nil || question.XMLName.Local != "principal-property-search" || len(question.Match) == 0 {
		http.Error(w, "not a principal-property-search", http.StatusForbidden)
		return
	}
	var found []response
	for _, u := range s.cfg.Users {
		r := s.principalOf(&u)
		for _, a := range r.Prop.Addresses.Href {
			if strings.Contains(strings.ToLower(a), strings.ToLower(question.Match[0])) {
				found = append(found, r)
				break
			}
		}
	}
	serve(w, found...)
}

func serve(w http.ResponseWriter, list ...response) {
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(multistatus{Responses: list})
}
