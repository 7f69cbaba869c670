package netguard

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
)

// Dialer is what checks the address that is connected to, behind the check of the resolved ones.
func (g *Guard) Dialer(class Class) *net.Dialer { return g.dialer(class) }

// ReadSRVIDs reads a subjectAltName as it stands in a certificate.
func ReadSRVIDs(san []byte) []string {
	return readSRVIDs(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: san}}})
}
