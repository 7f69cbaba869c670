package kubetest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// inClusterDir is where clients in a pod look for the API server's CA and their token.
const inClusterDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// container returns the one that is run: the first that calls calfed, or else the first.
func container(object *corev1.Pod) *corev1.Container {
	all := object.Spec.Containers
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return isCalfed(&c) })
	return &all[max(i, 0)]
}

func isCalfed(c *corev1.Container) bool {
	return len(c.Command) == 0 || filepath.Base(c.Command[0]) == "calfed"
}

// command makes the container's command line and environment what they are on this machine.
func (p *pod) command(ctx context.Context, object *corev1.Pod) (*exec.Cmd, error) {
	c := container(object)
	if err := supported(object, c); err != nil {
		return nil, err
	}
	env, err := p.environment(ctx, object, c)
	if err != nil {
		return nil, err
	}
	line := slices.Concat(c.Command, c.Args)
	for i := range line {
		line[i] = p.local(c, expand(line[i], env))
	}
	shortenDrain(line)
	if isCalfed(c) {
		line = line[min(1, len(c.Command)):]
		binary, err := p.kubelet.cluster.calfed()
		if err != nil {
			return nil, err
		}
		line = append([]string{binary}, line...)
		if dir := p.local(c, inClusterDir); dir != inClusterDir {
			kubeconfig, err := p.kubeconfig(dir)
			if err != nil {
				return nil, err
			}
			line = append(line, "--kubeconfig="+kubeconfig)
		}
	}
	cmd := exec.Command(line[0], line[1:]...) // not of ctx: the pod ends it
	cmd.Dir = p.dir
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+p.local(c, value))
	}
	slices.Sort(cmd.Env)
	return cmd, nil
}

// local returns what an argument, or the value of a --flag=value, is on this machine.
func (p *pod) local(c *corev1.Container, arg string) string {
	flag, value := "", arg
	if name, v, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "-") {
		flag, value = name+"=", v
	}
	if listenAddress.MatchString(value) {
		return flag + p.ip.String() + value
	}
	for _, m := range c.VolumeMounts {
		if rest, ok := strings.CutPrefix(value, m.MountPath); ok && (rest == "" || rest[0] == '/') {
			return flag + p.volumes.path(m.Name) + rest
		}
	}
	return arg
}

var (
	listenAddress = regexp.MustCompile(`^:\d+$`)
	reference     = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_]*\)`)
)

// expand replaces $(NAME), as the API has it for arguments and values.
func expand(s string, env map[string]string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if value, ok := env[ref[2:len(ref)-1]]; ok {
			return value
		}
		return ref
	})
}

// shortenDrain cuts what waits for load balancers.
func shortenDrain(line []string) {
	const flag, most = "--drain-delay", time.Second
	shorten := func(value string) string {
		if d, err := time.ParseDuration(value); err == nil {
			return min(d, most).String()
		}
		return value
	}
	for i, arg := range line {
		if value, ok := strings.CutPrefix(arg, flag+"="); ok {
			line[i] = flag + "=" + shorten(value)
		} else if arg == flag && i+1 < len(line) {
			line[i+1] = shorten(line[i+1])
		}
	}
}

// kubeconfig writes the configuration that an in-cluster client would make of the folder.
func (p *pod) kubeconfig(dir string) (string, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["cluster"] = &clientcmdapi.Cluster{
		Server: p.kubelet.cluster.Config.Host, CertificateAuthority: filepath.Join(dir, "ca.crt"),
	}
	config.AuthInfos["pod"] = &clientcmdapi.AuthInfo{TokenFile: filepath.Join(dir, "token")}
	config.Contexts["pod"] = &clientcmdapi.Context{Cluster: "cluster", AuthInfo: "pod", Namespace: p.kubelet.namespace}
	config.CurrentContext = "pod"
	file := filepath.Join(p.dir, "kubeconfig")
	return file, clientcmd.WriteToFile(*config, file)
}

// environment returns the container's, and what every container has.
func (p *pod) environment(ctx context.Context, object *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	server := p.kubelet.cluster.env.ControlPlane.APIServer.SecureServing
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "HOSTNAME": p.name,
		"KUBERNETES_SERVICE_HOST": server.Address, "KUBERNETES_SERVICE_PORT": server.Port, "KUBERNETES_SERVICE_PORT_HTTPS": server.Port,
	}
	for _, v := range c.Env {
		value, err := expand(v.Value, env), error(nil)
		if v.ValueFrom != nil {
			value, err = p.valueFrom(ctx, object, c, v.ValueFrom)
		}
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		env[v.Name] = value
	}
	return env, nil
}

func (p *pod) valueFrom(ctx context.Context, object *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (string, error) {
	key := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: object.Namespace, Name: name} }
	switch {
	case from.FieldRef != nil:
		return p.field(object, from.FieldRef.FieldPath)
	case from.ResourceFieldRef != nil:
		return resource(c, from.ResourceFieldRef)
	case from.SecretKeyRef != nil:
		var s corev1.Secret
		err := p.kubelet.client.Get(ctx, key(from.SecretKeyRef.Name), &s)
		return string(s.Data[from.SecretKeyRef.Key]), err
	case from.ConfigMapKeyRef != nil:
		var m corev1.ConfigMap
		err := p.kubelet.client.Get(ctx, key(from.ConfigMapKeyRef.Name), &m)
		return m.Data[from.ConfigMapKeyRef.Key], err
	}
	return "", unsupported("this source of a value")
}

// field is the downward API.
func (p *pod) field(object *corev1.Pod, path string) (string, error) {
	switch path {
	case "metadata.name":
		return object.Name, nil
	case "metadata.namespace":
		return object.Namespace, nil
	case "metadata.uid":
		return string(object.UID), nil
	case "spec.nodeName":
		return object.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.ip.String(), nil
	case "status.hostIP", "status.hostIPs":
		return p.kubelet.hostIP(), nil
	}
	return "", unsupported("fieldRef " + path)
}

// allocatable is what a limit is that a container does not set.
var allocatable = corev1.ResourceList{
	corev1.ResourceCPU: *quantity.NewQuantity(int64(runtime.NumCPU()), quantity.DecimalSI), corev1.ResourceMemory: quantity.MustParse("4Gi"),
}

// resource is a limit or request in units of the divisor, rounded up.
func resource(c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	from, name, _ := strings.Cut(ref.Resource, ".")
	var value quantity.Quantity
	switch from {
	case "limits":
		var set bool
		if value, set = c.Resources.Limits[corev1.ResourceName(name)]; !set {
			value = allocatable[corev1.ResourceName(name)]
		}
	case "requests":
		value = c.Resources.Requests[corev1.ResourceName(name)]
	default:
		return "", unsupported("resourceFieldRef " + ref.Resource)
	}
	divisor := int64(1000)
	if d := ref.Divisor.MilliValue(); d > 0 {
		divisor = d
	}
	return strconv.FormatInt((value.MilliValue()+divisor-1)/divisor, 10), nil
}
