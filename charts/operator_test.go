package charts_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/hack/deploytest"
)

// The real operator, with the arguments that the chart gives it and no rights but those, takes up its work: it leads, is ready and
// writes a status. Everything that the alerts ask Prometheus for is among its metrics.
func TestOperatorWorksWithTheRightsOfTheChart(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	for i, mode := range []string{"all namespaces", "single namespaces"} {
		t.Run(mode, func(t *testing.T) {
			system, watched := c.Namespace(t), c.Namespace(t)
			args := append([]string{"--api-versions", "monitoring.coreos.com/v1"}, with("crds.install=false", "metrics.prometheusRule.enabled=true")...)
			if mode == "single namespaces" {
				args = append(args, with("watchNamespaces={"+watched+"}")...)
			}
			manifest := deploytest.Chart(t, system, args...)
			c.Kubectl(t, manifest, "apply", "--server-side", "-f", "-")

			host := fmt.Sprintf("127.%d.%d.%d", 88+i, os.Getpid()>>8&255, os.Getpid()&255) // no other process has it
			var seen string                                                                // of the resources
			log := startOperator(t, c, system, host, manifest)
			defer func() {
				if t.Failed() {
					t.Log(seen, log)
				}
			}()
			eventually(t, "ready", func(ctx context.Context) bool {
				_, ok := get(ctx, "http://"+host+":8081/readyz")
				return ok
			})
			c.Kubectl(t, strings.ReplaceAll(resources, "namespace: "+ours, "namespace: "+watched), "apply", "-f", "-")
			eventually(t, "a status of every resource", func(ctx context.Context) bool {
				seen = c.Kubectl(t, "", "-n", watched, "get", "calfed", "-o", "jsonpath={range .items[*]}{.kind} {.status.observedGeneration}{'\\n'}{end}")
				return !strings.Contains(seen, "-1")
			})
			checkAlerts(t, manifest, "http://"+host+":8080/metrics")
			if strings.Contains(log.String(), "forbidden") {
				t.Error("the operator misses rights")
			}
		})
	}
}

// startOperator runs the program with the arguments of the manifest's Deployment as its ServiceAccount, until the test ends.
func startOperator(t *testing.T, c *kubetest.Cluster, namespace, host, manifest string) *output {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	var d appsv1.Deployment
	for _, u := range deploytest.Objects(t, manifest) {
		if u.GetKind() == "Deployment" {
			d = decode[appsv1.Deployment](t, u)
		}
	}
	writeKubeconfig(t, kubeconfig, namespace, c.As(t, namespace, d.Spec.Template.Spec.ServiceAccountName))
	container := d.Spec.Template.Spec.Containers[0]
	memory := container.Resources.Limits.Memory() // the only value that comes from elsewhere
	values := strings.NewReplacer("-addr=:", "-addr="+host+":", "$(MEMORY_LIMIT)", strconv.FormatInt(memory.Value(), 10))
	args := []string{}
	for _, arg := range container.Args {
		args = append(args, values.Replace(arg))
	}
	log := &output{}
	cmd := exec.Command(c.Calfed(t), append(args, "--kubeconfig="+kubeconfig)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the operator ended with %v\n%s", err, log)
		}
	})
	return log
}

// output gathers what a process writes.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func writeKubeconfig(t *testing.T, path, namespace string, config *rest.Config) {
	t.Helper()
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: namespace}},
		CurrentContext: "x",
	}, path)
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until f holds; it fails the test after two minutes.
func eventually(t *testing.T, what string, f func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) { return f(ctx), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func get(ctx context.Context, url string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err == nil && resp.StatusCode == http.StatusOK
}

var series = regexp.MustCompile(`([a-z_]+)\{`)

// checkAlerts looks whether the operator has the series of the alerts; up is Prometheus's own.
func checkAlerts(t *testing.T, manifest, url string) {
	t.Helper()
	for _, u := range deploytest.Objects(t, manifest) {
		if u.GetKind() != "PrometheusRule" {
			continue
		}
		for _, rule := range decode[monitoringv1.PrometheusRule](t, u).Spec.Groups[0].Rules {
			name := series.FindStringSubmatch(rule.Expr.StrVal)[1]
			if name == "up" {
				continue
			}
			eventually(t, "the series of "+rule.Alert+", "+name, func(ctx context.Context) bool {
				metrics, _ := get(ctx, url)
				return strings.Contains(metrics, "\n"+name+"{")
			})
		}
		return
	}
	t.Error("no PrometheusRule")
}
