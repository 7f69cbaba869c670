package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/calfed/calfed/controllers"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/resolver"
)

// leaseName is the Lease by which one of several operators leads.
const leaseName = "calfed-manager"

// renewDeadline is controller-runtime's; requests for the Lease must not take longer than half of it.
const renewDeadline = 10 * time.Second

// lease is the lock on the Lease, in the operator's namespace.
func (o *managerOptions) lease() (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, o.namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}, rest.CopyConfig(o.config), renewDeadline)
}

// leading asks the API server whether we still hold the Lease: somebody who slept does not know.
func leading(lock resourcelock.Interface) func(context.Context) error {
	return func(ctx context.Context) error {
		record, _, err := lock.Get(ctx)
		if err != nil {
			return fmt.Errorf("the Lease cannot be read: %w", err)
		}
		if record.HolderIdentity != lock.Identity() {
			return fmt.Errorf("the Lease is held by %q", record.HolderIdentity)
		}
		return nil
	}
}

// outside wires how the operator looks at the world, and where it may go.
func (o *managerOptions) outside(opt *controllers.Options) {
	dns := resolver.New(resolver.Config{Server: o.resolver})
	var never []netip.Addr
	for _, a := range opt.APIServer {
		never = append(never, a.Addr())
	}
	looks := netguard.New(netguard.Config{PeerCIDRs: o.probeRanges, BackendCIDRs: o.probeRanges, Never: never, Resolver: dns})
	opt.Prober = probe.New(probe.Config{DNS: dns, Guard: looks, UserAgent: "calfed/" + version})
	opt.Authority = probe.NewAuthority(probe.AuthorityConfig{DNS: dns, Guard: looks})
	updates := netguard.New(netguard.Config{BackendCIDRs: o.dnsRange, Never: never, Resolver: dns})
	opt.Dial = updates.DialContext(netguard.NameServer)
}

// servers are the addresses of the API server: of the Service that pods use, what it says of itself to everybody, and the flag's. It waits
// until the server answers, whatever it says before: one that starts refuses what it knows no rights for yet, and a process that ends instead
// is started again ever more rarely, and so comes late.
func (o *managerOptions) servers(ctx context.Context, log *slog.Logger) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, text := range o.apiServers {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("--api-server-addrs %q: want an IP address and a port", text)
		}
		out = append(out, a)
	}
	if host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"); host != "" {
		if a, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
			out = append(out, a)
		}
	}
	d, err := discovery.NewDiscoveryClientForConfig(o.config)
	if err != nil {
		return nil, err
	}
	told := ""
	said, err := askServers(ctx, d)
	for ; err != nil; said, err = askServers(ctx, d) {
		if text := err.Error(); text != told {
			log.Warn("the API server cannot be asked; trying again until it answers", "server", o.config.Host, "error", err)
			told = text
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if told != "" {
		log.Info("the API server answers", "server", o.config.Host)
	}
	out = append(out, said...)
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out), nil
}

const (
	askServer = 10 * time.Second // that the API server has to say its address
	askAgain  = time.Second      // until it is asked again
)

// askServers asks what every client may ask, whatever its rights.
func askServers(ctx context.Context, d *discovery.DiscoveryClient) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, askServer)
	defer cancel()
	b, err := d.RESTClient().Get().AbsPath("/api").SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var versions metav1.APIVersions
	if err := json.Unmarshal(b, &versions); err != nil {
		return nil, errors.New("its answer is none")
	}
	var out []netip.AddrPort
	for _, s := range versions.ServerAddressByClientCIDRs {
		if a, err := netip.ParseAddrPort(s.ServerAddress); err == nil {
			out = append(out, a)
		}
	}
	return out, nil
}
