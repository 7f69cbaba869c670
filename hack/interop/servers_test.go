//go:build interop

package interop

import "net"

// cyrus starts a Cyrus: its HTTP and IMAP listeners at the addresses given.
func cyrus(dir, domain, httpAddr, imapAddr string, users ...string) *script {
	s := &script{name: "cyrus.sh", dir: dir, args: append([]string{domain, port(httpAddr), port(imapAddr)}, users...)}
	for _, u := range users {
		s.want = append(s.want, u+"@"+domain+" 207")
	}
	return s
}

// davical starts a DAViCal: HTTP, and PostgreSQL behind it, at the addresses given.
func davical(dir, domain, httpAddr, databaseAddr string, users ...string) *script {
	s := &script{name: "davical.sh", dir: dir, args: append([]string{domain, port(httpAddr), port(databaseAddr)}, users...)}
	for _, u := range users {
		s.want = append(s.want, u+"@"+domain+" 207")
	}
	return s
}

// radicale starts a Radicale.
func radicale(dir, httpAddr string, users ...string) *script {
	s := &script{name: "radicale.sh", dir: dir, args: append([]string{port(httpAddr)}, users...)}
	for _, u := range users {
		s.want = append(s.want, u+" 207")
	}
	return s
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
