package infra

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// How a pod ends: it serves on while load balancers hear of it (preStop), then says that it leaves (drain delay), then finishes
// what is under way (drain timeout). The grace period holds all of it and a little more.
const (
	preStop      = 5 * time.Second
	drainDelay   = 10 * time.Second
	drainTimeout = 25 * time.Second
	gracePeriod  = preStop + drainDelay + drainTimeout + 5*time.Second
)

const (
	nobody      = 65532 // user and group, as in the image
	pathData    = "/var/lib/calfed"
	pathStatus  = "/etc/calfed/status"
	pathAccount = "/var/run/secrets/kubernetes.io/serviceaccount" // where in-cluster clients look
	tokenLife   = 3607                                            // seconds; the kubelet renews it in time
)

func deployment(gw *v1alpha1.FederationGateway, f Facts) client.Object {
	return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{
		Replicas:             replicas(gw, f),
		Selector:             podSelector(gw),
		RevisionHistoryLimit: new(int32(3)),
		Strategy: appsv1.DeploymentStrategy{
			Type:          appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromInt32(1))},
		},
		Template: podTemplate(gw, f.Image),
	}}
}

// podTemplate has nothing in it that changes when only Secrets do: pods read them anew by themselves.
func podTemplate(gw *v1alpha1.FederationGateway, image string) corev1.PodTemplateSpec {
	add := gw.Spec.PodTemplate
	if add == nil {
		add = &v1alpha1.PodTemplate{}
	}
	meta := metav1.ObjectMeta{Labels: Labels(gw.Name)}
	if add.Metadata != nil {
		meta.Labels = merged(add.Metadata.Labels, meta.Labels)
		meta.Annotations = maps.Clone(add.Metadata.Annotations)
	}
	return corev1.PodTemplateSpec{ObjectMeta: meta, Spec: corev1.PodSpec{
		ServiceAccountName:            gw.Name,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(gracePeriod.Seconds())),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(nobody)), RunAsGroup: new(int64(nobody)), FSGroup: new(int64(nobody)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{overNodes(gw)},
		ImagePullSecrets:          pullSecrets(add.ImagePullSecrets),
		NodeSelector:              maps.Clone(add.NodeSelector),
		Tolerations:               add.Tolerations,
		Affinity:                  overZones(gw, add.Affinity),
		PriorityClassName:         add.PriorityClassName,
		Containers:                []corev1.Container{container(gw, add, image)},
		Volumes:                   volumes(gw),
	}}
}

func pullSecrets(refs []v1alpha1.SecretRef) []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	for _, ref := range refs {
		out = append(out, corev1.LocalObjectReference{Name: ref.Name})
	}
	return out
}

// overNodes is the only such constraint: where nodes lack the label of one of several, the scheduler scores them by none.
func overNodes(gw *v1alpha1.FederationGateway) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: podSelector(gw), MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}
}

// overZones is the affinity of the spec, and the wish for other zones than those of the gateway's other pods.
func overZones(gw *v1alpha1.FederationGateway, spec *corev1.Affinity) *corev1.Affinity {
	out := &corev1.Affinity{}
	if spec != nil {
		out = spec.DeepCopy()
	}
	if out.PodAntiAffinity == nil {
		out.PodAntiAffinity = &corev1.PodAntiAffinity{}
	}
	preferred := &out.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	*preferred = append(*preferred, corev1.WeightedPodAffinityTerm{
		Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyZone, LabelSelector: podSelector(gw)},
	})
	return out
}

func container(gw *v1alpha1.FederationGateway, add *v1alpha1.PodTemplate, image string) corev1.Container {
	res := resources(add.Resources)
	return corev1.Container{
		Name:  "gateway",
		Image: image,
		Args: []string{
			"gateway",
			"--namespace", gw.Namespace,
			"--gateway", gw.Name,
			"--public-addr", addr(numberPublic),
			"--submit-addr", addr(numberSubmit),
			"--smtp-addr", addr(numberSMTP),
			"--admin-addr", addr(numberAdmin),
			"--status-addr", addr(numberStatus),
			"--status-tls", pathStatus,
			"--data", pathData,
			"--drain-delay", drainDelay.String(),
			"--drain-timeout", drainTimeout.String(),
			"--log-format", "json",
		},
		Env:       env(add.Env, res),
		Resources: res,
		Ports: []corev1.ContainerPort{
			{Name: portPublic, ContainerPort: numberPublic, Protocol: corev1.ProtocolTCP},
			{Name: portSubmit, ContainerPort: numberSubmit, Protocol: corev1.ProtocolTCP},
			{Name: portSMTP, ContainerPort: numberSMTP, Protocol: corev1.ProtocolTCP},
			{Name: portAdmin, ContainerPort: numberAdmin, Protocol: corev1.ProtocolTCP},
			{Name: portStatus, ContainerPort: numberStatus, Protocol: corev1.ProtocolTCP},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// the image has no shell: the kubelet itself waits
		Lifecycle:      &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: int64(preStop.Seconds())}}},
		StartupProbe:   probe("/healthz", 2, 30),
		ReadinessProbe: probe("/readyz", 5, 2),
		LivenessProbe:  probe("/healthz", 10, 6), // slow is not dead: a minute
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: pathData},
			{Name: "status-tls", MountPath: pathStatus, ReadOnly: true},
			{Name: "account", MountPath: pathAccount, ReadOnly: true},
		},
	}
}

func addr(port int) string { return fmt.Sprintf(":%d", port) }

func probe(path string, periodSeconds, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString(portAdmin), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: periodSeconds, TimeoutSeconds: 2, FailureThreshold: failures,
	}
}

func volumes(gw *v1alpha1.FederationGateway) []corev1.Volume {
	return []corev1.Volume{
		// the last good snapshot holds private keys: never on a disk
		{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: new(snapshotLimit.DeepCopy()),
		}}},
		{Name: "status-tls", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: StatusSecret(gw.Name), DefaultMode: new(int32(0o440)),
		}}},
		{Name: "account", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(int32(0o440)),
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(tokenLife))}},
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
					Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
				}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
					{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
				}}},
			},
		}}},
	}
}

// env is what the spec says, and a bound for Go's heap below the memory limit unless the spec has one.
func env(spec []v1alpha1.EnvVar, res corev1.ResourceRequirements) []corev1.EnvVar {
	const heap = "GOMEMLIMIT"
	var out []corev1.EnvVar
	bounded := false
	for _, e := range spec {
		out = append(out, corev1.EnvVar{Name: e.Name, Value: e.Value})
		bounded = bounded || e.Name == heap
	}
	if limit := res.Limits[corev1.ResourceMemory]; !bounded && !limit.IsZero() {
		out = append(out, corev1.EnvVar{Name: heap, Value: strconv.FormatInt(limit.Value()/100*heapPercent, 10)})
	}
	return out
}
