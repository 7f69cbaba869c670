package kubetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Namespace makes a namespace with a name of its own, and removes it at the end of the test. The end of the removal is not
// waited for; a test that wants to see it deletes the namespace itself.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Client.Create(context.Background(), ns); err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	t.Cleanup(func() {
		if c.stopped {
			return
		}
		if err := c.Client.Delete(context.Background(), ns); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete the namespace: %v", err)
		}
	})
	if c.opt.ControllerManager {
		if err := c.eventually(func(ctx context.Context) error { return c.populated(ctx, ns.Name) }); err != nil {
			t.Fatalf("namespace %s: %v", ns.Name, err)
		}
	}
	return ns.Name
}

// Kubectl runs kubectl as administrator with what stands on standard input, and returns what it printed; a failure fails
// the test. It may wait for five minutes.
func (c *Cluster) Kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.programs, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.path("kubeconfig"), "HOME="+c.dir)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// As returns the configuration of a ServiceAccount, whose rights are those RBAC gives it.
func (c *Cluster) As(t testing.TB, namespace, serviceAccount string) *rest.Config {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: serviceAccount}}
	request := &authenticationv1.TokenRequest{}
	err := c.Client.SubResource("token").Create(context.Background(), account, request)
	if err == nil && request.Status.Token == "" {
		err = errors.New("the API server gave no token")
	}
	if err != nil {
		t.Fatalf("token of %s: %v", client.ObjectKeyFromObject(account), err)
	}
	config := rest.AnonymousClientConfig(c.Config)
	config.BearerToken = request.Status.Token
	return config
}
