// Package v1alpha1 holds the custom resources of group federation.calfed.dev: types and validation rules, no logic.
//
// A FederationGateway is a gateway that faces other organisations, a FederatedDomain a calendar domain it answers
// for, a DKIMKey a key that signs for the domain, a PeerPolicy who may talk with whom, and how. What the specs leave
// out gets its effective value when they are compiled (controllers/compile); nothing is defaulted here.
//
// +kubebuilder:object:generate=true
// +groupName=federation.calfed.dev
package v1alpha1
