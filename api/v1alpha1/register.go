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

// OwnedBy refers to an object of a kind as the owner that controls another one. It does not block the owner's deletion, for which
// some clusters ask for a right of its own (admission plugin OwnerReferencesPermissionEnforcement).
func OwnedBy(kind string, owner metav1.Object) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: GroupVersion.String(), Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: new(true),
	}
}

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
