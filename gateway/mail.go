package gateway

import (
	"context"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// mailHandler makes what takes mail in one generation; nil when the snapshot takes none. IS-SUB-2.
func (g *Gateway) mailHandler(gen *generation) (*mail.Handler, error) {
	smtp := gen.active.Snapshot.Gateway.Submission.SMTP
	if smtp == nil {
		return nil, nil
	}
	cfg := mail.Config{
		Active: gen.active, Auth: gen.submit, Outbound: gen.sender, Inbound: gen.receiver,
		Verifier: &imip.Verifier{LookupTXT: gen.lookupTXT, AuthservID: smtp.AuthservID, Now: g.opt.Now},
		Now:      g.opt.Now, Log: g.log,
	}
	if gen.backends.Smarthost != nil {
		cfg.Relay = gen.backends.Smarthost
	}
	return mail.New(cfg)
}

// lookupTXT gives each record's strings joined, as mail's DKIM and DMARC want them.
func (gen *generation) lookupTXT(ctx context.Context, name string) ([]string, error) {
	records, _, err := gen.outside.dns.LookupTXT(ctx, name)
	if err != nil {
		return nil, err
	}
	joined := make([]string, len(records))
	for i, parts := range records {
		for _, p := range parts {
			joined[i] += p
		}
	}
	return joined, nil
}
