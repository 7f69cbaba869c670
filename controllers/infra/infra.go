// Package infra says which objects a FederationGateway needs in its cluster: Deployment, Services, PodDisruptionBudget,
// HorizontalPodAutoscaler, NetworkPolicy, ServiceAccount with Role, and, where their kinds exist, HTTPRoute, Certificate,
// ServiceMonitor and PrometheusRule.
//
// It is pure: resources in, objects out, for server-side apply. It knows no API server; federationgateway.go does.
package infra

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "sigs.k8s.io/gateway-api/apis/v1"
)
