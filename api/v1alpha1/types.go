package v1alpha1

// placeholders until the real types land

type FederationGateway struct{}
type FederatedDomain struct{}
type DKIMKey struct{}
type PeerPolicy struct{}
