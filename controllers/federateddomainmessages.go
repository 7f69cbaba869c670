package controllers

// What the conditions of a domain say; controllers/publish/README.md explains them.
const (
	domainUsable   = "the domain can be used"
	domainReady    = "the domain is federated"
	domainLeftOut  = "nothing comes of the domain yet: see Accepted and OwnershipProven"
	domainOnTheWay = "gateway pods are taking it over"
	domainServed   = "every gateway pod serves it"
	gatewayBroken  = "FederationGateway %s cannot be compiled: its conditions say why; what was served before is served on"
	removalHeld    = "so many domains would go that the gateway waits for its annotation calfed.dev/confirm-removal; what was served before is served on"
	noPods         = "no gateway pod answers yet: see the FederationGateway"

	ownerProven   = "the TXT record was seen on every name server that answers"
	ownerNotAsked = "the gateway asks no proof"
	ownerLater    = "whether proof is asked shows when the domain is accepted"
	ownerMissing  = "prove that the domain is yours: set the TXT record %s with the value %q"

	keyNotAsked = "spec.signing names no key: the domain receives only"
	keyNone     = "none of the keys can be used, so messages are received and none is sent: see the DKIMKeys"

	recordsUnseen  = "the records were not looked for yet"
	recordsDark    = "no name server answers for %s %s: check the delegation of the zone, and that the operator reaches its name servers"
	recordsSeen    = "the records are as expected on every name server that answers"
	recordForeign  = "the %s record at %s is somebody else's (%s), and calfed overwrites nothing that it did not write: remove it"
	recordByHand   = "set the records that status.records shows, first %s with %q: %s"
	recordDrifted  = "%s was changed by somebody else, and is being repaired: %s"
	recordOnTheWay = "%s is not on every name server yet: %s"

	outsideLater    = "looked at once the records are out and every gateway pod serves the domain"
	seenFromOutside = "seen from outside as it should be"

	backendReached = "the gateway pods reach the back end"
	backendUnasked = "no gateway pod can be asked"
)
