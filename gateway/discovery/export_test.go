package discovery

import "context"

// TXTPath reads what strangers publish.
var TXTPath = txtPath

// UseWellKnownPort moves the well-known URI of a domain to a port that a test can have.
func (d *Discoverer) UseWellKnownPort(port uint16) { d.wellKnownPort = port }

// Flights are the fetches that callers share; its documents count the fetch they came from.
type Flights struct{ flights }

func (f *Flights) Do(ctx context.Context, key string, fetch func() (int, error)) (int, error) {
	doc, err := f.do(ctx, key, func() (*document, error) {
		n, err := fetch()
		if err != nil {
			return nil, err
		}
		return &document{size: n}, nil
	})
	if err != nil {
		return 0, err
	}
	return doc.size, nil
}
