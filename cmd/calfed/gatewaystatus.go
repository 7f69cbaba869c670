package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// statusFolder has the certificates of the status listener: tls.crt, tls.key and ca.crt, as a Secret volume has them. They are
// read at every handshake, which are few.
type statusFolder struct {
	dir string
	log *slog.Logger

	mu          sync.Mutex
	files       [3][]byte // as they were when they were last good
	certificate tls.Certificate
	clients     *x509.CertPool // nil = they never were
	problem     string         // that was last told
}

// load implements gateway.StatusTLS. Files that do not go together leave what was read before: the kubelet may be replacing them.
func (f *statusFolder) load() (tls.Certificate, *x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.read()
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != f.problem {
		f.log.Error("the certificates of the status listener cannot be used", "reason", "status-tls", "error", err)
	}
	f.problem = problem
	if f.clients == nil {
		return tls.Certificate{}, nil, err
	}
	return f.certificate, f.clients, nil
}

func (f *statusFolder) read() error {
	var files [3][]byte
	for i, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		var err error
		if files[i], err = os.ReadFile(filepath.Join(f.dir, name)); err != nil {
			return err
		}
	}
	if f.clients != nil && bytes.Equal(files[0], f.files[0]) && bytes.Equal(files[1], f.files[1]) && bytes.Equal(files[2], f.files[2]) {
		return nil
	}
	certificate, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(files[2]) {
		return errors.New("ca.crt: no certificate in it")
	}
	f.files, f.certificate, f.clients = files, certificate, clients
	return nil
}
