package kubetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

const gateway = `
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data:
  site.yaml: |
    apiVersion: federation.calfed.dev/v1alpha1
    kind: FederationGateway
    metadata: {name: edge, namespace: default}
    spec:
      host: cal.example.org
      tls: {type: Off}
      defaultPolicy: Deny
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: gateway
          image: example.org/calfed
          args: [serve, --manifests=/etc/site, --data, /data, --public-addr, ":8443", "--submit-addr=", --admin-addr=:8081, --drain-delay, 1m]
          ports: [{name: admin, containerPort: 8081}]
          startupProbe: {failureThreshold: 30, periodSeconds: 1, httpGet: {path: /readyz, port: admin}}
          readinessProbe: {httpGet: {path: /readyz, port: admin}}
          volumeMounts:
            - {name: site, mountPath: /etc/site}
            - {name: data, mountPath: /data}
      volumes:
        - {name: site, configMap: {name: site}}
        - {name: data, emptyDir: {}}
`

func TestContainerWithoutCommandRunsCalfed(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	k := c.Kubelet(t, ns)
	c.Kubectl(t, gateway, "apply", "-n", ns, "-f", "-")
	c.Kubectl(t, "", "rollout", "status", "-n", ns, "deployment/edge", "--timeout=5m")
	name := strings.TrimSpace(c.Kubectl(t, "", "get", "pods", "-n", ns, "-o", "name"))
	ip := c.Kubectl(t, "", "get", "-n", ns, name, "-o", "jsonpath={.status.podIP}")
	want := fmt.Sprintf("serving: public %s:8443, submit none, admin %s:8081", ip, ip)
	if got := k.Logs(strings.TrimPrefix(name, "pod/")); !strings.Contains(got, want) {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}
