package discovery

// The parsers of what strangers publish.
var (
	TXTPath   = txtPath
	Freshness = freshness
)

// UseWellKnownPort moves the well-known URI of a domain to a port that a test can have.
func (d *Discoverer) UseWellKnownPort(port uint16) { d.wellKnownPort = port }
