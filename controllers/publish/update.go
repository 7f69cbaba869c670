package publish

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
)

// Update publishes by dynamic update (RFC 2136) over TCP, signed with TSIG (RFC 8945).
type Update struct {
	Settings v1alpha1.RFC2136
	Secret   []byte // the TSIG key in base64
	// Dial opens the connection; whoever makes it decides which addresses may be reached.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var _ Publisher = (*Update)(nil)

func (u *Update) algorithm() string {
	if u.Settings.TSIG.Algorithm == "" {
		return "hmac-sha256"
	}
	return u.Settings.TSIG.Algorithm
}

// maxSets bounds one update message; a set of keys takes 600 octets or so.
const maxSets = 32

// attempts is how often an update is made anew because somebody else changed the zone meanwhile.
const attempts = 3

// Publish implements Publisher. Each set is read first, and the update says what was read as its prerequisite: the server does
// it only when that still holds (RFC 2136 §3.2). Sets that ours names and want does not are taken back only as long as
// they hold what was written.
func (u *Update) Publish(ctx context.Context, want []records.Record, ours []v1alpha1.PublishedRecord) (Outcome, error) {
	out := Outcome{Ours: slices.Clone(ours)}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var parts []part
	err := u.session(ctx, func(s *session) (err error) {
		parts, err = u.plan(s, want, &out)
		return err
	})
	// a connection for each message: some servers take a hundred questions by one, and no more
	for i := 0; i < len(parts) && err == nil; i++ {
		err = u.session(ctx, func(s *session) error { return u.apply(s, parts[i], &out) })
	}
	sortRecords(out.Ours)
	return out, err
}

// session runs f with a connection.
func (u *Update) session(ctx context.Context, f func(*session) error) error {
	s, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	defer context.AfterFunc(ctx, s.interrupt)()
	return f(s)
}

// change is what is to become of one set.
type change struct {
	set
	zone   string
	ours   *v1alpha1.PublishedRecord // nil: never written
	remove bool
}

// part is the changes of one zone that go into one message.
type part struct {
	zone    string
	changes []change
}

// plan says what is to be done, zone by zone. Names that are in no zone of the server's are put into Outside.
func (u *Update) plan(s *session, want []records.Record, out *Outcome) ([]part, error) {
	var all []change
	for _, w := range sets(want) {
		all = append(all, change{set: w, ours: find(out.Ours, w.name, w.rrtype)})
	}
	for i := range out.Ours {
		o := out.Ours[i]
		if !slices.ContainsFunc(all, func(c change) bool { return c.name == o.Name && c.rrtype == o.Type }) {
			all = append(all, change{set: set{name: o.Name, rrtype: o.Type}, ours: &o, remove: true})
		}
	}
	var parts []part
	zones := &zones{session: s, fixed: string(u.Settings.Zone)}
	for _, c := range all {
		zone, err := zones.of(c.name)
		switch {
		case errors.Is(err, errOutside) && c.remove:
			out.release(c) // what is not in the zone was never written
			continue
		case errors.Is(err, errOutside):
			out.Outside = append(out.Outside, plain(c.name))
			out.disown(c)
			continue
		case err != nil:
			return nil, err
		}
		c.zone = zone
		i := slices.IndexFunc(parts, func(p part) bool { return p.zone == zone && len(p.changes) < maxSets })
		if i < 0 {
			parts = append(parts, part{zone: zone})
			i = len(parts) - 1
		}
		parts[i].changes = append(parts[i].changes, c)
	}
	slices.Sort(out.Outside)
	out.Outside = slices.Compact(out.Outside)
	return parts, nil
}

// apply makes the changes of one message, anew when the zone changed between reading and writing.
func (u *Update) apply(s *session, p part, out *Outcome) error {
	for range attempts {
		m := new(dns.Msg).SetUpdate(p.zone)
		var settled []func()
		for _, c := range p.changes {
			done, err := u.stage(s, m, c, out)
			if err != nil {
				return err
			}
			settled = append(settled, done)
		}
		if len(m.Ns) > 0 {
			answer, err := s.exchange(m, true)
			if err != nil {
				return err
			}
			switch answer.Rcode {
			case dns.RcodeSuccess:
				out.Changed = true
			case dns.RcodeYXRrset, dns.RcodeNXRrset, dns.RcodeYXDomain, dns.RcodeNameError:
				continue
			default:
				return s.updateRefused(p.zone, answer.Rcode)
			}
		}
		for _, f := range settled {
			f()
		}
		return nil
	}
	return failed("the zone %s at %s changes all the time: no update held long enough", plain(p.zone), s.server)
}

// stage reads a set and adds to the update what must become of it. What it returns notes the success.
func (u *Update) stage(s *session, m *dns.Msg, c change, out *Outcome) (func(), error) {
	current, err := s.read(c.name, c.rrtype)
	if err != nil {
		return nil, err
	}
	mine := func() { out.hold(c) }
	gone := func() { out.release(c) }
	foreign := func() {
		out.disown(c)
		out.Foreign = append(out.Foreign, Foreign{Name: c.name, Type: current.rrtype, Seen: current.seen()})
	}
	written := c.ours != nil && c.ours.Written != ""
	same := c.ours != nil && current.rrtype == c.rrtype && slices.Contains([]string{c.ours.Written, c.ours.Intended}, current.hash())
	switch {
	case c.remove && same:
		m.Used(copies(current.rrs))
		m.RemoveRRset(copies(current.rrs[:1]))
		return gone, nil
	case c.remove: // nothing there, or no longer what was written
		return gone, nil
	case len(current.rrs) == 0:
		m.RRsetNotUsed(copies(c.rrs[:1]))
		m.Insert(copies(c.rrs))
		return mine, nil
	case current.rrtype != c.rrtype: // a CNAME: servers ignore other records beside it (RFC 2136 §3.4.2.2)
		return foreign, nil
	case slices.Equal(current.data(), c.data()):
		if written && current.rrs[0].Header().Ttl != c.rrs[0].Header().Ttl {
			replace(m, current, c)
		}
		return mine, nil
	case written || same:
		replace(m, current, c)
		return mine, nil
	}
	return foreign, nil
}

func replace(m *dns.Msg, current set, c change) {
	m.Used(copies(current.rrs))
	m.RemoveRRset(copies(current.rrs[:1]))
	m.Insert(copies(c.rrs))
}

// copies keeps package dns from changing the headers of what is used again.
func copies(rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
	}
	return out
}

// read returns the set that the server holds; a CNAME in its place has rrtype CNAME. No records: there is none.
func (s *session) read(name, rrtype string) (set, error) {
	answer, err := s.ask(name, dns.StringToType[rrtype])
	if err != nil {
		return set{}, err
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return set{}, failed("%s does not say what is at %s: %s", s.server, plain(name), rcodeName(answer.Rcode))
	}
	found := set{name: name, rrtype: rrtype}
	for _, rr := range answer.Answer {
		if !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		switch kind := dns.TypeToString[rr.Header().Rrtype]; kind {
		case rrtype:
			found.rrs = append(found.rrs, rr)
		case "CNAME":
			return set{name: name, rrtype: kind, rrs: []dns.RR{rr}}, nil
		}
	}
	return found, nil
}

// hold notes that a set is ours and written.
func (o *Outcome) hold(c change) {
	o.release(c)
	o.Ours = append(o.Ours, v1alpha1.PublishedRecord{Name: c.name, Type: c.rrtype, Written: c.hash()})
}

// disown notes that a set is not ours, and still intended.
func (o *Outcome) disown(c change) {
	o.release(c)
	if c.ours != nil {
		o.Ours = append(o.Ours, v1alpha1.PublishedRecord{Name: c.name, Type: c.rrtype, Intended: c.hash()})
	}
}

// release notes that a set is not ours any more, or never was.
func (o *Outcome) release(c change) {
	o.Ours = slices.DeleteFunc(o.Ours, func(r v1alpha1.PublishedRecord) bool { return r.Name == c.name && r.Type == c.rrtype })
}
