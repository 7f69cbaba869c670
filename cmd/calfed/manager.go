package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	server "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/calfed/calfed/controllers"
)

// managerOptions are the flags of `calfed manager`.
type managerOptions struct {
	kubeconfig            string
	namespaces            []string
	image                 string
	leaderElect           bool
	metricsAddr, health   string
	resolver              string
	probeCIDRs, dnsCIDRs  []string
	apiServers            []string
	memory                int64 // bytes
	logFormat, logLevel   string
	config                *rest.Config
	namespace             string // of the operator
	probeRanges, dnsRange []netip.Prefix
}

func newManagerCommand() *cobra.Command {
	var opt managerOptions
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run the operator: resources in, gateway pods, keys and DNS records out",
		Long: "Runs the operator in a cluster: it watches FederationGateways, FederatedDomains, DKIMKeys and\n" +
			"PeerPolicies, compiles them into what gateway pods serve, makes the pods, leads keys through their\n" +
			"life, publishes DNS records, and says in each object's status what became of it.\n\n" +
			"Several may run: one leads, by a Lease in the operator's namespace. Without it gateways serve on.\n\n" +
			"The metrics address has /metrics, the health address /healthz and /readyz.",
		Example: "  calfed manager --image registry.example.org/calfed:v1\n" +
			"  calfed manager --watch-namespaces team-a,team-b --kubeconfig ~/.kube/config",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opt.complete(); err != nil {
				return err
			}
			return opt.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is; default: the pod's own")
	f.StringSliceVar(&opt.namespaces, "watch-namespaces", nil, "`NAMES` of namespaces to watch, by Roles in them; default: all")
	f.StringVar(&opt.image, "image", "", "`IMAGE` of gateway pods, normally the operator's own")
	f.BoolVar(&opt.leaderElect, "leader-elect", true, "work only while leading")
	f.StringVar(&opt.metricsAddr, "metrics-addr", ":8080", "`ADDR` for /metrics, empty for none")
	f.StringVar(&opt.health, "health-addr", ":8081", "`ADDR` for /healthz and /readyz, empty for none")
	f.Int64Var(&opt.memory, "memory-limit", 0, "`BYTES` that the container may have: the heap is kept below four fifths; default: no bound")
	f.StringVar(&opt.resolver, "resolver", "", "`ADDR` (IP:port) of the DNS resolver; default: the system's")
	f.StringSliceVar(&opt.probeCIDRs, "probe-cidrs", nil, "`RANGES` to which looks from outside may lead, beside public addresses")
	f.StringSliceVar(&opt.dnsCIDRs, "dns-update-cidrs", nil, "`RANGES` to which dynamic updates of DNS may lead, beside public addresses")
	f.StringSliceVar(&opt.apiServers, "api-server-addrs", nil, "`ADDRS` (IP:port) of the API server beside those it says itself, for NetworkPolicies of gateway pods")
	f.StringVar(&opt.logFormat, "log-format", "text", "text or json")
	f.StringVar(&opt.logLevel, "log-level", "info", "debug, info, warn or error")
	_ = cmd.MarkFlagRequired("image")
	return cmd
}

// complete checks the flags and finds the cluster.
func (o *managerOptions) complete() error {
	var err error
	if o.probeRanges, err = parsePrefixes("--probe-cidrs", o.probeCIDRs); err != nil {
		return err
	}
	if o.dnsRange, err = parsePrefixes("--dns-update-cidrs", o.dnsCIDRs); err != nil {
		return err
	}
	if o.resolver != "" {
		if a, err := netip.ParseAddrPort(o.resolver); err != nil || a.Port() == 0 {
			return fmt.Errorf("--resolver %q: want an IP address and a port", o.resolver)
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	if o.kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		rules.Precedence = nil // in a pod, the pod's own
	}
	found := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	if o.config, err = found.ClientConfig(); err != nil {
		return fmt.Errorf("where is the cluster? Run in a pod, or give --kubeconfig: %w", err)
	}
	if o.namespace, _, err = found.Namespace(); err != nil {
		return err
	}
	// the API server shares itself out fairly (priority and fairness); 50 000 objects shall not wait for us
	o.config.QPS, o.config.Burst = -1, 0
	o.config.UserAgent = "calfed-manager/" + version
	return nil
}

func parsePrefixes(flag string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: want an address range such as 10.0.0.0/8", flag, text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (o *managerOptions) run(cmd *cobra.Command) error {
	log, err := newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetSlogLogger(log)
	if o.memory > 0 {
		debug.SetMemoryLimit(o.memory / 5 * 4)
	}
	servers, err := o.servers(cmd.Context(), log)
	if errors.Is(err, context.Canceled) {
		return nil // told to end meanwhile
	}
	if err != nil {
		return err
	}
	opt := controllers.Options{
		Image: o.image, Namespaces: o.namespaces, APIServer: servers,
		Metrics: metrics.Registry, Log: log,
	}
	o.outside(&opt)
	mo, err := controllers.ManagerOptions(opt)
	if err != nil {
		return err
	}
	mo.Metrics = server.Options{BindAddress: orNone(o.metricsAddr)}
	mo.HealthProbeBindAddress = orNone(o.health)
	if o.leaderElect {
		lock, err := o.lease()
		if err != nil {
			return err
		}
		mo.LeaderElection, mo.LeaderElectionResourceLockInterface = true, lock
		mo.LeaderElectionReleaseOnCancel = true // run ends with this process
		opt.Leading = leading(lock)
	}
	mgr, err := ctrl.NewManager(o.config, mo)
	if err != nil {
		return err
	}
	if err := addChecks(mgr); err != nil {
		return err
	}
	if err := controllers.Setup(mgr, opt); err != nil {
		return err
	}
	if err := mgr.Start(cmd.Context()); err != nil {
		return failed(err)
	}
	return nil
}

// orNone is the address as controller-runtime wants it.
func orNone(addr string) string {
	if addr == "" {
		return "0"
	}
	return addr
}

// addChecks makes /readyz wait until the caches are filled; a manager that does not lead is ready to take over.
func addChecks(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	synced := make(chan struct{})
	err := mgr.Add(everywhere(func(ctx context.Context) error {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			close(synced)
		}
		return nil
	}))
	if err != nil {
		return err
	}
	return mgr.AddReadyzCheck("caches", func(*http.Request) error {
		select {
		case <-synced:
			return nil
		default:
			return errors.New("caches are not filled yet")
		}
	})
}

// everywhere runs whether this manager leads or not.
type everywhere func(context.Context) error

func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection says that it does not.
func (f everywhere) NeedLeaderElection() bool { return false }
