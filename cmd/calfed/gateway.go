package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/calfed/calfed/cmd/calfed/secretsource"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/snapshot"
)

// gatewayOptions are the flags of `calfed gateway`.
type gatewayOptions struct {
	servingOptions
	namespace, name   string
	kubeconfig        string
	status, statusTLS string
	data              string
}

func newGatewayCommand() *cobra.Command {
	var opt gatewayOptions
	cmd := &cobra.Command{
		Use:   "gateway --namespace NAMESPACE --gateway NAME",
		Short: "Run a gateway in a cluster, from the snapshot that the manager writes",
		Long: "Runs what the pods of a FederationGateway run. It watches the Secret NAME-snap-index and reads\n" +
			"the Secrets NAME-snap-000 to NAME-snap-255, which calfed manager writes, and needs no other right.\n" +
			"What is broken is refused and the last good configuration stays, also over a restart, and while\n" +
			"there is no API server.\n\n" +
			"The status address tells calfed manager what is served, over TLS with a client certificate. The\n" +
			"other addresses are those of calfed serve.\n\n" +
			"SIGTERM drains: /readyz fails, after --drain-delay nothing new is taken, and what is under way is\n" +
			"finished.",
		Example: "  calfed gateway --namespace calendars --gateway edge --data /var/lib/calfed",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return opt.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.namespace, "namespace", "", "`NAMESPACE` of the FederationGateway")
	f.StringVar(&opt.name, "gateway", "", "`NAME` of the FederationGateway")
	f.StringVar(&opt.kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the API server; empty in a pod, whose ServiceAccount it is then")
	opt.addFlags(f)
	f.StringVar(&opt.status, "status-addr", "", "`ADDR` for the manager, empty for none")
	f.StringVar(&opt.statusTLS, "status-tls", "", "`DIR` with tls.crt and tls.key for the status address, and ca.crt of the clients let in; read again when they change")
	f.StringVar(&opt.data, "data", "calfed-data", "`DIR` for what should survive a restart: the last good configuration with its keys, invitations that wait for an answer")
	for _, name := range []string{"namespace", "gateway"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (o *gatewayOptions) run(cmd *cobra.Command) error {
	logger, err := newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	switch {
	case o.namespace == "" || o.name == "":
		return errors.New("--namespace, --gateway: must not be empty")
	case o.public == "":
		return errors.New("--public-addr: must not be empty")
	case o.status != "" && o.statusTLS == "":
		return errors.New("--status-addr needs --status-tls")
	}
	klog.SetSlogLogger(logger) // what client-go has to say
	config, err := o.apiServer()
	if err != nil {
		return err
	}
	dir, err := openStateDir(o.data)
	if err != nil {
		return err
	}
	var source *secretsource.Source // there before anybody can ask
	folder := &statusFolder{dir: o.statusTLS, log: logger}
	gw := gateway.New(gateway.Options{
		PublicAddr: o.public, SubmitAddr: o.submit, SMTPAddr: o.smtp, AdminAddr: o.admin, StatusAddr: o.status,
		StatusTLS:  folder.load,
		Status:     func() snapshot.PodStatus { return source.Status() },
		NeverAddrs: apiServer(config.Host),
		DrainDelay: o.drainDelay, DrainTimeout: o.drainTimeout,
		Log: logger, Version: version,
	})
	source, err = secretsource.New(secretsource.Config{
		REST: config, Namespace: o.namespace, Name: o.name, Gateway: gw, Folder: o.data, Log: logger,
	})
	if err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	answers := answerKeeper{gw, dir, logger}
	answers.load()
	source.Restore()

	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { source.Run(ctx) })
	running.Go(func() { answers.keep(ctx) })
	running.Go(func() {
		select {
		case <-gw.Started():
			announce(cmd, gw.Addrs())
		case <-ctx.Done():
		}
	})
	err = gw.Run(ctx)
	cancel()
	running.Wait()
	answers.save()
	return err
}

// apiServer says how to reach it: in a pod, as its ServiceAccount.
func (o *gatewayOptions) apiServer() (*rest.Config, error) {
	var config *rest.Config
	var err error
	if o.kubeconfig == "" {
		config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("this is no pod of a cluster: say by --kubeconfig how to reach the API server")
		}
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("API server: %w", err)
	}
	config.UserAgent = "calfed/" + version
	return config, nil
}

// apiServer are the addresses where nothing may be sent to (IS-DISC-10): in a cluster the kubelet says where the API server is;
// others are URLs, or hosts with their ports, and count when they are addresses.
func apiServer(others ...string) (out []netip.Addr) {
	hosts := []string{os.Getenv("KUBERNETES_SERVICE_HOST")}
	for _, other := range others {
		if u, err := url.Parse(other); err == nil && u.Host != "" {
			hosts = append(hosts, u.Hostname())
		} else if host, _, err := net.SplitHostPort(other); err == nil {
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			out = append(out, addr)
		}
	}
	return out
}
