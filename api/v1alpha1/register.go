package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of all kinds here.
var GroupVersion = schema.GroupVersion{Group: "federation.calfed.dev", Version: "v1alpha1"}

// The kinds.
const (
	KindFederationGateway = "FederationGateway"
	KindFederatedDomain   = "FederatedDomain"
	KindDKIMKey           = "DKIMKey"
	KindPeerPolicy        = "PeerPolicy"
)

// AddToScheme registers the kinds and their lists.
func AddToScheme(s *runtime.Scheme) error {
	builder := runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
		s.AddKnownTypes(GroupVersion,
			&FederationGateway{}, &FederationGatewayList{},
			&FederatedDomain{}, &FederatedDomainList{},
			&DKIMKey{}, &DKIMKeyList{},
			&PeerPolicy{}, &PeerPolicyList{},
		)
		metav1.AddToGroupVersion(s, GroupVersion)
		return nil
	})
	return builder.AddToScheme(s)
}
