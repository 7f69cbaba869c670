package kubetest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

const gateway = `
apiVersion: v1
kind: Secret
metadata: {name: site}
stringData:
  site.yaml: |
    apiVersion: federation.calfed.dev/v1alpha1
    kind: FederationGateway
    metadata: {name: edge, namespace: default}
    spec:
      host: cal.example.org
      tls: {type: Secret, secret: {name: edge-tls}}
      defaultPolicy: Deny
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: edge-tls, namespace: default}
    data: {tls.crt: %s, tls.key: %s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge}
spec:
  progressDeadlineSeconds: 120
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
        - {name: site, secret: {secretName: site}}
        - {name: data, emptyDir: {}}
`

func TestContainerWithoutCommandRunsCalfed(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	k := c.Kubelet(t, ns)
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"cal.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	base := base64.StdEncoding.EncodeToString
	c.Kubectl(t, fmt.Sprintf(gateway, base(certificate), base(key)), "apply", "-n", ns, "-f", "-")
	c.Kubectl(t, "", "rollout", "status", "-n", ns, "deployment/edge", "--timeout=5m")
	name := strings.TrimSpace(c.Kubectl(t, "", "get", "pods", "-n", ns, "-o", "name"))
	ip := c.Kubectl(t, "", "get", "-n", ns, name, "-o", "jsonpath={.status.podIP}")
	want := fmt.Sprintf("serving: public %s:8443, admin %s:8081", ip, ip)
	if got := k.Logs(strings.TrimPrefix(name, "pod/")); !strings.Contains(got, want) {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}
