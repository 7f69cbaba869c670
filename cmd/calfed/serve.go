package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // TZIDs resolve wherever the binary runs; IS-ITIP-1

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway"
)

// serveOptions are the flags of `calfed serve`.
type serveOptions struct {
	servingOptions
	manifests []string
	gateway   string
	data      string
	logger    *slog.Logger
}

func newServeCommand() *cobra.Command {
	var opt serveOptions
	cmd := &cobra.Command{
		Use:   "serve --manifests DIR…",
		Short: "Run a gateway from a folder of manifests, without a cluster",
		Long: "Runs the gateway that the manifests describe: the same resources, the same compile step and the\n" +
			"same gateway as in a cluster. Changes of the files are taken over while it runs (and on SIGHUP); a\n" +
			"configuration with an error is reported with file, line and field, and the last good one stays,\n" +
			"also over a restart.\n\n" +
			"The public address speaks TLS to other organisations. The submit address takes messages from your\n" +
			"calendar system, over TLS or, from this machine only, plain HTTP. The smtp address takes mail from\n" +
			"systems that send invitations by mail, see calfed sendmail. The admin address has /metrics, /healthz\n" +
			"and /readyz.\n\n" +
			"SIGTERM drains: /readyz fails, after --drain-delay nothing new is taken, and what is under way is\n" +
			"finished.",
		Example: "  calfed serve --manifests ./config --data /var/lib/calfed",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, folders []string) error {
			opt.manifests = append(opt.manifests, folders...) // --manifests a b
			if err := opt.complete(cmd); err != nil {
				return err
			}
			return opt.serve(cmd)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.manifests, "manifests", nil, "`DIR` (or file) with manifests; further ones may follow as arguments")
	f.StringVar(&opt.gateway, "gateway", "", "`NAME` of the FederationGateway to run, where the manifests hold several")
	opt.addFlags(f)
	f.StringVar(&opt.data, "data", "calfed-data", "`DIR` for what must survive: capability serial, last good configuration with its keys, invitations that wait for an answer")
	_ = cmd.MarkFlagRequired("manifests")
	return cmd
}

// complete checks the flags and makes what they stand for.
func (o *serveOptions) complete(cmd *cobra.Command) error {
	var err error
	if o.logger, err = newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel); err != nil {
		return err
	}
	if o.public == "" {
		return fmt.Errorf("--public-addr: must not be empty")
	}
	return nil
}

func (o *serveOptions) serve(cmd *cobra.Command) error {
	dir, err := openStateDir(o.data)
	if err != nil {
		return err
	}
	gw := gateway.New(gateway.Options{
		PublicAddr: o.public, SubmitAddr: o.submit, SMTPAddr: o.smtp, AdminAddr: o.admin,
		NeverAddrs: apiServer(),
		DrainDelay: o.drainDelay, DrainTimeout: o.drainTimeout,
		Log: o.logger, Version: version,
	})
	answers := answerKeeper{gw, dir, o.logger}
	answers.load()
	r := &reloader{paths: o.manifests, name: o.gateway, dir: dir, gateway: gw, log: o.logger}
	watch := newWatcher(o.manifests, o.logger) // before the first load: no change falls in between
	if err := r.start(time.Now()); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-gw.Started():
			announce(cmd, gw.Addrs())
			watch.run(ctx, hangup, func() { r.reload(time.Now()) })
		case <-ctx.Done():
		}
	})
	watching.Go(func() { answers.keep(ctx) })
	err = gw.Run(ctx)
	cancel()
	watching.Wait()
	answers.save()
	return err
}

// announce prints the one line that tells where to reach what.
func announce(cmd *cobra.Command, addrs gateway.Addrs) {
	parts := []string{"public " + addrs.Public.String()}
	if addrs.Submit != nil {
		parts = append(parts, "submit "+addrs.Submit.String())
	}
	if addrs.SMTP != nil {
		parts = append(parts, "smtp "+addrs.SMTP.String())
	}
	if addrs.Admin != nil {
		parts = append(parts, "admin "+addrs.Admin.String())
	}
	if addrs.Status != nil {
		parts = append(parts, "status "+addrs.Status.String())
	}
	fmt.Fprintln(cmd.OutOrStdout(), "serving:", strings.Join(parts, ", "))
}
