package infra

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// wantsBudget: a budget for a single pod would only hinder those who drain its node.
func wantsBudget(gw *v1alpha1.FederationGateway) bool { return SharesLoad(gw) }

func disruptionBudget(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	return &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: new(intstr.FromInt32(1)),
		Selector:       podSelector(gw),
		// a pod that does not answer anyway must not keep its node from being drained
		UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
	}}
}
