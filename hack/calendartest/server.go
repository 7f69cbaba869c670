// Package calendartest starts real calendar servers for tests, and is their users: what a client does by CalDAV, and the objects that
// it stores. The servers are those that the scripts of hack/interop start.
package calendartest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// Server is one of the scripts of hack/interop, with what it is called with. It starts a server and ends it.
type Server struct {
	Script string   // path of the program
	Dir    string   // of the server; other users of the machine must be able to enter it
	Args   []string // after "up" and Dir
	Env    []string
	Want   []string // what it must print
}

// Up starts the server.
func (s *Server) Up() error {
	cmd := exec.CommandContext(context.Background(), s.Script, append([]string{"up", s.Dir}, s.Args...)...)
	cmd.Env = append(os.Environ(), s.Env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s up: %w\n%s", s.Script, err, out)
	}
	for _, want := range s.Want {
		if !strings.Contains(string(out), want) {
			return fmt.Errorf("%s up: %q is not in\n%s", s.Script, want, out)
		}
	}
	return nil
}

// Down ends it.
func (s *Server) Down() error {
	if out, err := exec.CommandContext(context.Background(), s.Script, "down", s.Dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%s down: %w\n%s", s.Script, err, out)
	}
	return nil
}

// Cyrus is a Cyrus that listens at httpAddr, and for IMAP at imapAddr. Scripts is the folder hack/interop.
func Cyrus(scripts, dir, domain, httpAddr, imapAddr string, users ...string) *Server {
	s := server(scripts, "cyrus.sh", dir, httpAddr, users, func(user string) string { return user + "@" + domain })
	s.Args = append([]string{domain, port(httpAddr), port(imapAddr)}, users...)
	return s
}

// DAViCal is one with its database behind it at databaseAddr of loopback.
func DAViCal(scripts, dir, domain, httpAddr, databaseAddr string, users ...string) *Server {
	s := server(scripts, "davical.sh", dir, httpAddr, users, func(user string) string { return user + "@" + domain })
	s.Args = append([]string{domain, port(httpAddr), port(databaseAddr)}, users...)
	return s
}

// Radicale is a Radicale.
func Radicale(scripts, dir, httpAddr string, users ...string) *Server {
	s := server(scripts, "radicale.sh", dir, httpAddr, users, func(user string) string { return user })
	s.Args = append([]string{port(httpAddr)}, users...)
	return s
}

func server(scripts, name, dir, addr string, users []string, login func(user string) string) *Server {
	host, _, _ := net.SplitHostPort(addr)
	s := &Server{Script: scripts + "/" + name, Dir: dir, Env: []string{"LISTEN=" + host}}
	for _, u := range users {
		s.Want = append(s.Want, login(u)+" 207")
	}
	return s
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
