//go:build interop

package interop

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"

	"github.com/calfed/calfed/hack/calendartest"
)

// old is a DAViCal that speaks draft-01 with us directly, in both directions: as the peer peer.example, which finds the key of
// example.org by DNS, and as a submitter of peer.example.
type old struct {
	*rig
	system   calendartest.System
	dns      string       // host:port, port 53: PHP asks no other
	secure   string       // host:port where TLS ends before it
	listener string       // host:port of our submit listener
	key      snapshot.Key // of example.org
	record   string       // of DAViCal's own key
}

func newOld(t *testing.T) *old {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("interop starts DAViCal in a mount namespace of its own: run as root")
	}
	o := &old{rig: &rig{t: t}, dns: fmt.Sprintf("127.54.%d.%d:53", mathrand.IntN(256), 1+mathrand.IntN(254))}
	o.secure, o.listener = o.ports.free(t), o.ports.free(t)
	web := o.ports.free(t)
	o.system = calendartest.System{Kind: "DAViCal", Domain: "peer.example", Base: "http://" + web}
	var err error
	if o.ca, err = catest.New(); err != nil {
		t.Fatal(err)
	}
	o.key = newKey(t)
	host, _, _ := net.SplitHostPort(o.dns)
	dir := o.dir("davical")
	for name, data := range map[string]string{"resolv.conf": "nameserver " + host + "\n", "ca.pem": string(o.ca.PEM())} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.dnsmasq(o.dns, strings.Join([]string{
		"local-ttl=60", "local=/example.org/", "local=/peer.example/",
		"host-record=dav.peer.example,127.0.0.1", "srv-host=_ischedules._tcp.peer.example,dav.peer.example," + port(o.secure),
		"host-record=gw.example.org,127.0.0.1", "srv-host=_ischedules._tcp.example.org,gw.example.org," + port(o.listener),
		"txt-record=cal._domainkey.example.org,\"" + o.key.Record[:200] + "\",\"" + o.key.Record[200:] + "\"",
	}, "\n")+"\n")
	if err := o.up(calendartest.DAViCal(scripts, dir, "peer.example", web, o.ports.free(t), "bob")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"php", "php.out"} {
				log, _ := os.ReadFile(filepath.Join(dir, "log", name))
				t.Logf("%s:\n%s", name, log)
			}
		}
	})
	public, err := exec.Command("openssl", "rsa", "-in", filepath.Join(dir, "dkim.key"), "-pubout").Output()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(public)
	o.record = "k=rsa; t=s; p=" + base64.StdEncoding.EncodeToString(block.Bytes) // as DAViCal's own page prints it
	o.endTLS(web)
	return o
}

// newKey is a signing key of example.org.
func newKey(t *testing.T) snapshot.Key {
	t.Helper()
	private, err := dkim.GenerateKey("rsa-2048")
	if err != nil {
		t.Fatal(err)
	}
	text, err := dkim.MarshalPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.FormatRecord(private.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Key{Source: "default/own", Domain: "example.org", Selector: "cal", Private: text, Record: record}
}

// endTLS hands what comes over TLS to DAViCal byte by byte, so that it sees what was sent.
func (o *old) endTLS(web string) {
	o.t.Helper()
	leaf, err := o.ca.Issue(catest.Leaf{DNS: []string{"dav.peer.example"}})
	if err != nil {
		o.t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", o.secure, &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		o.t.Fatal(err)
	}
	var all sync.WaitGroup
	o.t.Cleanup(func() {
		_ = ln.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", web)
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
				all.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = from.Close()
					_ = to.Close()
				})
			}
		}
	})
}

// active is a gateway's configuration for one domain.
func (o *old) active(d snapshot.Domain, p snapshot.Policy) *snapshot.Active {
	o.t.Helper()
	leaf, err := o.ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		o.t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		o.t.Fatal(err)
	}
	d.Source, d.Backend, d.Policies = "default/own", snapshot.Backend{Type: snapshot.BackendMemory}, []string{"default/peer"}
	p.ID, p.Action = "default/peer", snapshot.Allow
	a, err := snapshot.Activate(&snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: cert, Key: key}, DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 1, Versions: []string{ischedule.Version}, MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
				Messages:    []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY", "CANCEL"}}, {Name: "VFREEBUSY", Methods: []string{"REQUEST"}}},
				DataTypes:   []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
				Administrator: "mailto:postmaster@example.org",
			},
			Limits: snapshot.Limits{
				MaxConnections: 100, MaxConnsPerSource: 100, RequestsPerSource: 100, KeyLookupsPerSource: 100, KeyLookupsPerDomain: 100,
				KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 64 << 20,
				HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 30 * time.Second,
			},
		},
		Domains: []snapshot.Domain{d}, Policies: []snapshot.Policy{p},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// sender sends for example.org as a policy for peer.example says.
func (o *old) sender(out snapshot.Outbound) (*sender.Sender, *snapshot.Domain) {
	o.t.Helper()
	a := o.active(snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{o.key}}},
		snapshot.Policy{Peers: []string{"peer.example"}, Outbound: out})
	client := resolver.New(resolver.Config{Server: o.dns})
	guard := netguard.New(netguard.Config{PeerCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: o.ca.Pool(), Resolver: client})
	finder := discovery.New(discovery.Config{DNS: client, Guard: guard, UserAgent: "calfed/test"})
	o.t.Cleanup(finder.Close)
	s, err := sender.New(sender.Config{Active: a, Finder: finder, UserAgent: "calfed/test"})
	if err != nil {
		o.t.Fatal(err)
	}
	domain, _ := a.Domain("example.org")
	return s, domain
}

// inbox is what stands in bob's scheduling inbox.
func (o *old) inbox() string {
	o.t.Helper()
	const query = `<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>`
	status, body := calendartest.DAV(o.t, o.system.Login("bob"), "REPORT", o.system.Base+"/caldav.php/bob/.in/", query, "Depth", "1", "Content-Type", "application/xml")
	if status != http.StatusMultiStatus {
		o.t.Fatalf("REPORT: %d\n%s", status, body)
	}
	return body
}
