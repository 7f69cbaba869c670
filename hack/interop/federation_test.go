//go:build interop

package interop

import (
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/calfed/calfed/hack/calendartest"
)

// kinds are the calendar systems of each side, in the order of the matrix.
var kinds = []string{"Cyrus", "DAViCal", "Radicale"}

// users of every calendar system: alice organizes, bob attends, fay is busy, gateway is what calfed logs in as.
var users = []string{"alice", "bob", "fay", "gateway"}

// side is one organisation: three calendar systems with a domain each, one gateway, one smarthost.
type side struct {
	zone      string // west.example; the domains are cyrus.west.example, …
	host      string // of the gateway
	dir       string // manifests
	systems   map[string]*calendartest.System
	public    string // host:port of the gateway's listeners
	submit    string
	smtp      string
	admin     string
	smarthost smarthost
	// resolver (port 53) is the DNS server that its DAViCal asks: SRV look-ups of the other side end at the own gateway.
	resolver string
	folders  map[string]string // of the servers
}

// federation is two organisations, with the DNS server through which their gateways find each other.
type federation struct {
	*rig
	dns        string // host:port
	west, east *side
	stranger   *stranger
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{rig: newRig(t)}
	f.dns = f.ports.free(t)
	f.stranger = newStranger(f.rig)
	f.west, f.east = f.side("west.example"), f.side("east.example")
	f.manifests(f.west, f.east)
	f.manifests(f.east, f.west)
	f.startDNS()
	f.startServers()
	f.serve(f.west)
	f.serve(f.east)
	return f
}

func (f *federation) other(s *side) *side {
	if s == f.west {
		return f.east
	}
	return f.west
}

// side picks the addresses and folders of an organisation.
func (f *federation) side(zone string) *side {
	s := &side{
		zone: zone, host: "gw." + zone, dir: f.t.TempDir(), systems: map[string]*calendartest.System{}, folders: map[string]string{},
		public: f.ports.free(f.t), submit: f.ports.free(f.t), smtp: f.ports.free(f.t), admin: f.ports.free(f.t),
		smarthost: smarthost{f.ports.free(f.t), f.dir("smarthost")},
		// any loopback address will do; a random one lets two of these tests run at once
		resolver: fmt.Sprintf("127.53.%d.%d:53", mathrand.IntN(256), 1+mathrand.IntN(254)),
	}
	for _, kind := range kinds {
		s.systems[kind] = &calendartest.System{Kind: kind, Domain: strings.ToLower(kind) + "." + zone, Base: "http://" + f.ports.free(f.t)}
		s.folders[kind] = f.dir(strings.ToLower(kind))
	}
	return s
}

// startDNS serves what `calfed dns` prints for the domains of both sides to the gateways; and to each DAViCal the
// same, save that the other side's SRV records lead to the listener of the own gateway that takes submissions.
func (f *federation) startDNS() {
	f.t.Helper()
	public := []string{"local-ttl=60", f.stranger.records(f.t)} // the default, 0, would have every message look its key up again
	for _, s := range []*side{f.west, f.east} {
		public = append(public, "host-record="+s.host+",127.0.0.1", "local=/"+s.zone+"/")
		submitTo := func(domain string) string {
			return fmt.Sprintf("srv-host=_ischedules._tcp.%s,%s,%s", domain, s.host, port(s.submit))
		}
		split := []string{"local-ttl=60", "host-record=" + s.host + ",127.0.0.1", "local=/example/", submitTo(f.stranger.domain)}
		for _, kind := range kinds {
			public = append(public, f.run("dns", s.systems[kind].Domain, "--manifests", s.dir, "--format", "dnsmasq", "--port", port(s.public)))
			split = append(split, submitTo(f.other(s).systems[kind].Domain))
		}
		f.dnsmasq(s.resolver, strings.Join(split, "\n")+"\n")
	}
	f.dnsmasq(f.dns, strings.Join(public, "\n")+"\n")
}

// startServers starts six calendar servers and two smarthosts at once.
func (f *federation) startServers() {
	f.t.Helper()
	var servers []*calendartest.Server
	for _, s := range []*side{f.west, f.east} {
		at := func(kind string) string { return strings.TrimPrefix(s.systems[kind].Base, "http://") }
		c := calendartest.Cyrus(scripts, s.folders["Cyrus"], s.systems["Cyrus"].Domain, at("Cyrus"), f.ports.free(f.t), users...)
		c.Env = append(c.Env, "SENDMAIL="+f.sendmail(s))
		if s == f.east { // the west's is set up as the manual says; the east's sends what our own writes make of it: echoes
			c.Env = append(c.Env, "GATEWAY_SENDS=yes")
		}
		f.davicalFolder(s)
		d := calendartest.DAViCal(scripts, s.folders["DAViCal"], s.systems["DAViCal"].Domain, at("DAViCal"), f.ports.free(f.t), users...)
		r := calendartest.Radicale(scripts, s.folders["Radicale"], at("Radicale"), users[:len(users)-1]...) // it has a user gateway always
		m := &calendartest.Server{Script: "./smarthost.sh", Dir: s.smarthost.dir, Args: []string{port(s.smarthost.addr), "mx." + s.zone}}
		servers = append(servers, c, d, r, m)
	}
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { errs[i] = f.up(s) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// davicalFolder holds what DAViCal must find there before it starts.
func (f *federation) davicalFolder(s *side) {
	f.t.Helper()
	host, _, _ := strings.Cut(s.resolver, ":")
	for name, data := range map[string]string{"resolv.conf": "nameserver " + host + "\n", "ca.pem": string(f.ca.PEM())} {
		if err := os.WriteFile(filepath.Join(s.folders["DAViCal"], name), []byte(data), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

// sendmail is the program that the side's Cyrus runs to send mail: calfed, where Cyrus's own user can read it.
func (f *federation) sendmail(s *side) string {
	f.t.Helper()
	binary, err := os.ReadFile(f.binary)
	if err != nil {
		f.t.Fatal(err)
	}
	dir := s.folders["Cyrus"]
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string]string{
		"calfed":        string(binary),
		"sendmail":      fmt.Sprintf("#!/bin/sh\nexec %s sendmail --config %s \"$@\"\n", at("calfed"), at("sendmail.yaml")),
		"sendmail.yaml": fmt.Sprintf("smtp: localhost:%s\nusername: cyrus\npasswordFile: %s\ncaFile: %s\n", port(s.smtp), at("password"), at("ca.pem")),
		"password":      mailPassword(s.systems["Cyrus"]),
		"ca.pem":        string(f.ca.PEM()),
	} {
		if err := os.WriteFile(at(name), []byte(data), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	return at("sendmail")
}

// mailPassword is that of the system as a submitter of mail.
func mailPassword(s *calendartest.System) string { return "mail-password-of-" + s.Domain }

// serve starts the side's gateway and waits until it is ready.
func (f *federation) serve(s *side) {
	f.t.Helper()
	f.start("calfed of "+s.zone, exec.Command(f.binary, "serve", "--manifests", s.dir, "--public-addr", s.public,
		"--submit-addr", s.submit, "--smtp-addr", s.smtp, "--admin-addr", s.admin, "--data", f.t.TempDir()))
	f.ready(s.admin)
}
