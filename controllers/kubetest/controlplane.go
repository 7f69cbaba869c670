package kubetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	patience = time.Minute // for one thing of the control plane; the machine may be busy
	poll     = 50 * time.Millisecond
)

// start runs a control plane; when that fails, the error has the end of its logs.
func start(opt Options) (*Cluster, error) {
	c := &Cluster{opt: opt}
	c.calfed = sync.OnceValues(c.buildCalfed)
	if err := c.start(); err != nil {
		tail := c.logs()
		return nil, errors.Join(fmt.Errorf("start: %w\n%s", err, tail), c.stop())
	}
	return c, nil
}

func (c *Cluster) start() (err error) {
	if c.programs, err = programs(); err != nil {
		return err
	}
	if c.dir, c.lock, err = claimDir(); err != nil {
		return err
	}
	if c.net, err = claimNetwork(); err != nil {
		return err
	}
	c.env = &envtest.Environment{Scheme: newScheme(), ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience}
	if c.env.CRDs, err = definitions(c.opt.Neighbours); err != nil {
		return err
	}
	if err := c.configureEtcd(); err != nil {
		return err
	}
	if err := c.configureAPIServer(); err != nil {
		return err
	}
	if c.Config, err = c.env.Start(); err != nil {
		return err
	}
	if c.Client, err = client.New(c.Config, client.Options{Scheme: c.env.Scheme}); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("kubeconfig"), c.env.KubeConfig, 0o600); err != nil {
		return err
	}
	if c.opt.ControllerManager {
		return c.startControllerManager()
	}
	return nil
}

func (c *Cluster) configureEtcd() (err error) {
	etcd := &envtest.Etcd{URL: &url.URL{Scheme: "http", Host: c.net.addr(2).String() + ":2379"}, DataDir: c.path("etcd")}
	if err := os.Mkdir(etcd.DataDir, 0o700); err != nil {
		return err
	}
	if etcd.Path, err = c.mortal("etcd"); err != nil {
		return err
	}
	if etcd.Err, err = c.logfile("etcd"); err != nil {
		return err
	}
	c.env.ControlPlane.Etcd = etcd
	return nil
}

func (c *Cluster) configureAPIServer() (err error) {
	api := c.env.ControlPlane.GetAPIServer()
	api.Address, api.Port = c.net.addr(1).String(), "6443"
	api.CertDir = c.path("certificates")
	if err := os.Mkdir(api.CertDir, 0o700); err != nil {
		return err
	}
	if api.Path, err = c.mortal("kube-apiserver"); err != nil {
		return err
	}
	if api.Err, err = c.logfile("kube-apiserver"); err != nil {
		return err
	}
	// a loopback address is no endpoint for the Service "kubernetes", and a machine may have no other
	args := api.Configure().Set("advertise-address", c.net.addr(1).String()).Set("endpoint-reconciler-type", "none")
	// as on OpenShift: whoever keeps an owner from being deleted needs a right for it
	args.Set("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	if c.opt.ControllerManager {
		args.Set("disable-admission-plugins", "StorageObjectInUseProtection") // not ServiceAccount: somebody makes the accounts
	}
	if c.opt.Audit {
		if err := os.WriteFile(c.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
			return err
		}
		args.Set("audit-policy-file", c.path("audit-policy.yaml")).Set("audit-log-path", c.path("audit.log"))
		args.Set("feature-gates", "WatchList=false") // as of old: informers list, and then watch
	}
	return nil
}

// startControllerManager runs the controllers that a test can see the work of, and waits until they do work.
func (c *Cluster) startControllerManager() error {
	user, err := c.env.AddUser(envtest.User{Name: "system:kube-controller-manager", Groups: []string{"system:masters"}}, &rest.Config{})
	if err != nil {
		return err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return err
	}
	certificates := c.env.ControlPlane.GetAPIServer().CertDir
	ca := filepath.Join(certificates, "ca.crt")
	for file, content := range map[string][]byte{c.path("controller-manager.kubeconfig"): kubeconfig, ca: c.Config.CAData} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	c.manager, err = run(exec.Command(filepath.Join(c.programs, "kube-controller-manager"),
		"--kubeconfig="+c.path("controller-manager.kubeconfig"),
		"--controllers=garbage-collector-controller,namespace-controller,deployment-controller,replicaset-controller,"+
			"serviceaccount-controller,root-ca-certificate-publisher-controller,disruption-controller,"+
			"horizontal-pod-autoscaler-controller",
		"--service-account-private-key-file="+filepath.Join(certificates, "sa-signer.key"),
		"--root-ca-file="+ca,
		"--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000",
		"--min-resync-period=30s", "--namespace-sync-period=5s", "--horizontal-pod-autoscaler-sync-period=1s",
	), c.path("kube-controller-manager.log"))
	if err != nil {
		return err
	}
	return c.eventually(func(ctx context.Context) error { return c.populated(ctx, "default") })
}

// populated says whether the controllers have put into a namespace what pods need.
func (c *Cluster) populated(ctx context.Context, namespace string) error {
	if err := c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{}); err != nil {
		return err
	}
	return c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "kube-root-ca.crt"}, &corev1.ConfigMap{})
}

// eventually repeats f until it has no complaint any more.
func (c *Cluster) eventually(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		last = f(ctx)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// stop ends everything and removes the files.
func (c *Cluster) stop() error {
	var errs []error
	if c.manager != nil {
		c.manager.kill() // it writes nothing but what the API server has
	}
	if c.env != nil {
		if !c.stopped {
			c.killAPIServer()
		}
		errs = append(errs, c.env.Stop())
	}
	if c.net != nil {
		errs = append(errs, c.net.claim.Close())
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir), c.lock.Close())
	}
	return errors.Join(errs...)
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// mortal writes a script that starts a program which is killed when the test process ends, and that notes the program's id.
func (c *Cluster) mortal(program string) (string, error) {
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%q\nexec setpriv --pdeathsig KILL -- %q \"$@\"\n", c.path(program+".pid"), filepath.Join(c.programs, program))
	path := c.path(program + ".sh")
	return path, os.WriteFile(path, []byte(script), 0o700)
}

func (c *Cluster) logfile(program string) (*os.File, error) {
	return os.OpenFile(c.path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// logs returns the last lines of every program's log.
func (c *Cluster) logs() string {
	var b strings.Builder
	for _, program := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		text, err := os.ReadFile(c.path(program + ".log"))
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%s:\n%s\n", program, tail(string(text), 20))
	}
	return b.String()
}

// tail returns the last n lines.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
