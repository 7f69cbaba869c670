package main

import (
	"net"
	"testing"
)

func TestAPortComesBackAfterAllOthers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	p := newPorts(net.Dialer{})
	p.next.Store(portCount - 50) // the last ones, and the first
	var last, passed int
	for i := range 100 {
		conn, err := p.DialContext(t.Context(), "tcp", listener.Addr().String())
		check(t, err)
		defer conn.Close()
		n := conn.LocalAddr().(*net.TCPAddr).Port - firstPort
		if i > 0 {
			passed += (n - last + portCount) % portCount
		}
		last = n
	}
	if most := 99 + portTries; passed < 99 || passed > most { // some are in use on this machine
		t.Errorf("100 connections took %d ports, want 100, and those between that are in use", passed+1)
	}
}
