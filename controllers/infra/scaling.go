package infra

import (
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

const (
	defaultReplicas  = 2
	defaultTargetCPU = 70 // percent of what the pods request
)

// replicas is the number of pods to apply; nil leaves it to the autoscaler.
//
// The hand-over: as long as nobody else owns the number, not applying it would take it away and leave the API server's default
// of one pod. So the current number is applied until the autoscaler has written one of its own.
func replicas(gw *v1alpha1.FederationGateway, f Facts) *int32 {
	a := gw.Spec.Autoscaling
	switch {
	case a == nil && gw.Spec.Replicas != nil:
		return new(*gw.Spec.Replicas)
	case a == nil:
		return new(int32(defaultReplicas))
	case f.Replicas == nil:
		return new(minReplicas(a))
	case f.Scaled:
		return nil
	}
	return new(min(max(*f.Replicas, minReplicas(a)), a.MaxReplicas)) // an autoscaler leaves 0 alone
}

func minReplicas(a *v1alpha1.Autoscaling) int32 {
	if a.MinReplicas != nil {
		return *a.MinReplicas
	}
	return min(defaultReplicas, a.MaxReplicas)
}

// Scaled says whether somebody but the field owner owns spec.replicas of a Deployment. The Deployment must have come with its
// managed fields.
func Scaled(d *appsv1.Deployment, fieldOwner string) bool {
	for _, entry := range d.ManagedFields {
		if entry.FieldsV1 == nil || entry.Manager == fieldOwner && entry.Operation == metav1.ManagedFieldsOperationApply {
			continue
		}
		var fields struct {
			Spec struct {
				Replicas json.RawMessage `json:"f:replicas"`
			} `json:"f:spec"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) == nil && fields.Spec.Replicas != nil {
			return true
		}
	}
	return false
}

// atMost is the largest number of pods that there may be.
func atMost(gw *v1alpha1.FederationGateway) int32 {
	switch {
	case gw.Spec.Autoscaling != nil:
		return gw.Spec.Autoscaling.MaxReplicas
	case gw.Spec.Replicas != nil:
		return *gw.Spec.Replicas
	}
	return defaultReplicas
}

// SharesLoad says whether a gateway may have more than one pod.
func SharesLoad(gw *v1alpha1.FederationGateway) bool { return atMost(gw) > 1 }

func wantsAutoscaler(gw *v1alpha1.FederationGateway) bool { return gw.Spec.Autoscaling != nil }

func autoscaler(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	a := gw.Spec.Autoscaling
	target := int32(defaultTargetCPU)
	if a.TargetCPUUtilization != nil {
		target = *a.TargetCPUUtilization
	}
	return &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: Deployment.Kind, Name: gw.Name},
		MinReplicas:    new(minReplicas(a)),
		MaxReplicas:    a.MaxReplicas,
		Metrics: []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target},
			},
		}},
	}}
}
