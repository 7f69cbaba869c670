// Package v1alpha1 holds the custom resources of group federation.calfed.dev: types and validation rules, no logic.
//
// +kubebuilder:object:generate=true
// +groupName=federation.calfed.dev
package v1alpha1
