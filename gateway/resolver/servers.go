package resolver

import (
	"fmt"
	"net"

	"github.com/miekg/dns"
)

const resolvConf = "/etc/resolv.conf"

// systemServers are those of a resolv.conf: read anew for each look-up, since they change under a long-lived process,
// and the file is small beside a question to the network. Its search list is not used.
func systemServers(file string) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	if len(conf.Servers) == 0 {
		return nil, fmt.Errorf("%w: no nameserver in %s", ErrTemporary, file)
	}
	servers := make([]string, len(conf.Servers))
	for i, s := range conf.Servers {
		servers[i] = net.JoinHostPort(s, conf.Port)
	}
	return servers, nil
}
