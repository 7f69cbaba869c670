//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/hack/calendartest"
)

const scripts = "../interop"

// users of both calendar systems: alice organizes, bob attends, gateway is what calfed logs in as.
var users = []string{"alice", "bob", "gateway"}

// startServers starts the calendar systems, outside of the cluster, and says when they are there. What they listen at and sign with is
// known at once.
func (w *world) startServers() <-chan error {
	done := make(chan error, 1)
	err := errors.Join(w.prepare(w.west, "127.53.0.1"), w.prepare(w.east, "127.53.0.2"))
	if err != nil {
		done <- err
		return done
	}
	each := make(chan error)
	for _, s := range w.sides() {
		w.ends = append(w.ends, func() {
			if err := s.server.Down(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
		go func() { each <- s.server.Up() }()
	}
	go func() { done <- errors.Join(<-each, <-each) }()
	return done
}

// prepare picks addresses and writes what a calendar system must find when it starts.
func (w *world) prepare(s *side, resolver string) error {
	address, err := freePort(w.hostIP)
	if err != nil {
		return err
	}
	second, err := freePort("127.0.0.1")
	if err != nil {
		return err
	}
	s.system.Base = "http://" + address
	dir := w.file(s.name)
	files := map[string]string{"resolv.conf": "nameserver " + resolver + "\n", "ca.pem": string(w.CA.PEM())}
	if s.system.Kind == "Cyrus" {
		s.server = calendartest.Cyrus(scripts, dir, s.system.Domain, address, second, users...)
		s.server.Env = append(s.server.Env, "SENDMAIL="+filepath.Join(dir, "sendmail"))
		program, err := os.ReadFile(calfed)
		if err != nil {
			return fmt.Errorf("%w: run make build first", err)
		}
		files["calfed"] = string(program)
		files["sendmail"] = fmt.Sprintf("#!/bin/sh\nexec %[1]s/calfed sendmail --config %[1]s/sendmail.yaml \"$@\"\n", dir)
		files["sendmail.yaml"] = fmt.Sprintf("smtp: %[2]s:2525\nusername: calendar\npasswordFile: %[1]s/password\ncaFile: %[1]s/ca.pem\n", dir, s.submitHost)
		files["password"] = s.mailPassword()
	} else {
		s.server = calendartest.DAViCal(scripts, dir, s.system.Domain, address, second, users...)
		key, err := dkim.GenerateKey("rsa-2048")
		if err != nil {
			return err
		}
		private, err := dkim.MarshalPrivateKey(key)
		if err != nil {
			return err
		}
		if s.pinned, err = dkim.FormatRecord(key.Public(), false); err != nil {
			return err
		}
		files["dkim.key"] = string(private)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o755); err != nil {
			return err
		}
	}
	return w.splitDNS(s, resolver)
}

// splitDNS is the name server of a side's calendar system: DAViCal posts where the SRV record of a recipient leads, and that is
// the submit listener of its own gateway.
func (w *world) splitDNS(s *side, resolver string) error {
	var zones strings.Builder
	for _, zone := range []string{s.zone, w.other(s).zone} {
		fmt.Fprintf(&zones, "%[1]s. 1 IN SOA ns1.%[1]s. admin.%[1]s. 1 7200 900 86400 1\n", zone)
	}
	fmt.Fprintf(&zones, "_ischedules._tcp.%s. 1 IN SRV 0 0 8080 %s.\n", w.other(s).system.Domain, s.submitHost)
	var err error
	if s.split, err = primarytest.Start(primarytest.Options{Listen: resolver + ":53", Zones: zones.String()}); err != nil {
		return err
	}
	w.ends = append(w.ends, s.split.Stop)
	return nil
}

// nextPort is below those that the system gives out by itself.
var nextPort = 21000

// freePort finds a port, each time another.
func freePort(host string) (string, error) {
	for ; nextPort < 22000; nextPort++ {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(nextPort)))
		if err == nil {
			nextPort++
			return ln.Addr().String(), ln.Close()
		}
	}
	return "", errors.New("no free port")
}

// calfed is the program, for what people do with it.
const calfed = "../../bin/calfed"

// run runs calfed where the name server answers, and returns what it prints; a failure fails the test.
func (g *ground) run(t *testing.T, args ...string) string {
	t.Helper()
	inside := []string{"-m", "--propagation", "private", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`, "sh",
		g.file("resolv.conf"), calfed}
	out, err := exec.CommandContext(t.Context(), "unshare", append(inside, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("calfed %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
