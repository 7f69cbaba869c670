package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
)

// signOptions are the flags of `dkim sign`.
type signOptions struct {
	key, domain, selector, at string
	query                     []string
	lifetime                  time.Duration
}

func newSignCommand() *cobra.Command {
	var opt signOptions
	cmd := &cobra.Command{
		Use:   "sign FILE --key FILE --domain D --selector S",
		Short: "Sign a raw HTTP/1.1 request",
		Long: "Reads a raw HTTP/1.1 request (- for stdin) and prints it with a DKIM-Signature field at the end of\n" +
			"its header; every other byte stays as it is.",
		Example: "  calfed dkim sign request.http --key dkim.pem --domain example.org --selector cal > signed.http",
		Args:    oneArgument("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			signer, now, err := opt.signer()
			if err != nil {
				return err
			}
			req, err := readRequestFile(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			value, err := signer.Sign(req.Header, req.Body, now)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return req.writeWith(cmd.OutOrStdout(), "DKIM-Signature", value)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.key, "key", "", "PEM `FILE` with the private key")
	f.StringVar(&opt.domain, "domain", "", "d=, the signing domain")
	f.StringVar(&opt.selector, "selector", "", "s=, the key's selector")
	f.StringSliceVar(&opt.query, "query", nil, "q=, how the key is found: http/well-known, dns/txt, private-exchange (default none: dns/txt)")
	f.StringVar(&opt.at, "at", "", "`TIME` of the signature, RFC 3339 (default now)")
	f.DurationVar(&opt.lifetime, "lifetime", 5*time.Minute, "from t= to x=, at least 1m")
	for _, name := range []string{"key", "domain", "selector"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// signer makes the Signer the flags describe, and the instant it signs at.
func (o *signOptions) signer() (*dkim.Signer, time.Time, error) {
	fail := func(err error) (*dkim.Signer, time.Time, error) { return nil, time.Time{}, err }
	now, err := parseAt(o.at)
	if err != nil {
		return fail(err)
	}
	if o.lifetime < time.Minute { // IS-DKIM-7
		return fail(fmt.Errorf("--lifetime %s: at least 1m", o.lifetime))
	}
	signer := &dkim.Signer{Lifetime: o.lifetime}
	if signer.Domain, err = cua.Domain(o.domain); err != nil {
		return fail(fmt.Errorf("--domain: %w", err))
	}
	if signer.Selector, err = cua.Domain(o.selector); err != nil {
		return fail(fmt.Errorf("--selector: %w", err))
	}
	for _, list := range o.query {
		for method := range strings.SplitSeq(list, ":") {
			switch method {
			case dkim.MethodDNS, dkim.MethodWellKnown, dkim.MethodPrivate:
				signer.Query = append(signer.Query, method)
			default:
				return fail(fmt.Errorf("--query %q: want %s, %s or %s", method, dkim.MethodWellKnown, dkim.MethodDNS, dkim.MethodPrivate))
			}
		}
	}
	data, err := os.ReadFile(o.key)
	if err != nil {
		return fail(err)
	}
	if signer.Key, err = dkim.ParsePrivateKey(data); err != nil {
		return fail(fmt.Errorf("%s: %w", o.key, err))
	}
	return signer, now, nil
}

// parseAt reads a TIME flag; empty is now.
func parseAt(value string) (time.Time, error) {
	if value == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %q: want RFC 3339, such as 2026-11-22T14:00:00Z", value)
	}
	return at, nil
}
