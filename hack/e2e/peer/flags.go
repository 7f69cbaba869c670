package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
)

// options are the flags.
type options struct {
	url, address, ca      string
	originator, recipient string
	rate, fresh           float64
	inFlight              int
	timeout               time.Duration
	listen                string

	key, domain, selector string // send
	token                 string // submit
}

func newSendCommand() *cobra.Command {
	var opt options
	cmd := &cobra.Command{
		Use:     "send --url URL --key FILE --domain D --selector S --originator A --recipient A",
		Short:   "Be another organisation: sign invitations and post them to a gateway",
		Example: "  peer send --url https://gw.example.org/.well-known/ischedule --key key.pem --domain sender.example --selector load --originator mailto:carol@sender.example --recipient mailto:alice@example.org",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := opt.poster()
			if err != nil {
				return err
			}
			if p.signer, err = opt.signer(); err != nil {
				return err
			}
			p.domain = p.signer.Domain
			return opt.serve(cmd.Context(), p, cmd.OutOrStdout())
		},
	}
	opt.common(cmd)
	f := cmd.Flags()
	f.StringVar(&opt.key, "key", "", "PEM `FILE` with the private key that signs, RSA or Ed25519")
	f.StringVar(&opt.domain, "domain", "", "d=, the signing domain; UIDs end in it")
	f.StringVar(&opt.selector, "selector", "", "s=, the key's selector")
	require(cmd, "key", "domain", "selector")
	return cmd
}

func newSubmitCommand() *cobra.Command {
	var opt options
	cmd := &cobra.Command{
		Use:   "submit --url URL --token FILE --originator A --recipient A",
		Short: "Be a calendar server: hand invitations to the submit listener of its own gateway",
		Long: "Hands invitations to the submit listener of its own gateway, with a bearer token. That takes plain http from its own\n" +
			"machine only.",
		Example: "  peer submit --url https://gw.example.org:8080/ --token token --originator mailto:alice@example.org --recipient mailto:carol@sender.example",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := opt.poster()
			if err != nil {
				return err
			}
			token, err := os.ReadFile(opt.token)
			if err != nil {
				return err
			}
			p.authorization = "Bearer " + strings.TrimSpace(string(token))
			p.domain = p.originator.Domain()
			return opt.serve(cmd.Context(), p, cmd.OutOrStdout())
		},
	}
	opt.common(cmd)
	cmd.Flags().StringVar(&opt.token, "token", "", "`FILE` with the bearer token")
	require(cmd, "token")
	return cmd
}

func (o *options) common(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "`URL` to post to, https or http")
	f.StringVar(&o.address, "address", "", "`IP:PORT` to connect to, in place of looking the URL's host up")
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` with the authorities of server certificates (default the system's)")
	f.StringVar(&o.originator, "originator", "", "calendar user who invites")
	f.StringVar(&o.recipient, "recipient", "", "calendar user who is invited")
	f.Float64Var(&o.rate, "rate", 10, "messages per second; 0 waits for POST /rate")
	f.Float64Var(&o.fresh, "new-connections", 0.5, "share of the messages, 0 to 1, that get a connection of their own; the others use kept ones")
	f.IntVar(&o.inFlight, "in-flight", 200, "most messages under way at once; others wait and count as late")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "for one try")
	f.StringVar(&o.listen, "listen", ":8090", "`HOST:PORT` of the control")
	require(cmd, "url", "originator", "recipient")
}

func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		_ = cmd.MarkFlagRequired(name)
	}
}

// signer makes the Signer the flags describe.
func (o *options) signer() (*dkim.Signer, error) {
	var (
		signer dkim.Signer
		err    error
	)
	if signer.Domain, err = cua.Domain(o.domain); err != nil {
		return nil, fmt.Errorf("--domain: %w", err)
	}
	if signer.Selector, err = cua.Domain(o.selector); err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	data, err := os.ReadFile(o.key)
	if err != nil {
		return nil, err
	}
	if signer.Key, err = dkim.ParsePrivateKey(data); err != nil {
		return nil, fmt.Errorf("%s: %w", o.key, err)
	}
	return &signer, nil
}

// check finds numbers that make no load.
func (o *options) check() error {
	switch {
	case !validRate(o.rate):
		return fmt.Errorf("--rate: %w", errRate)
	case !(o.fresh >= 0 && o.fresh <= 1):
		return errors.New("--new-connections: want a share from 0 to 1")
	case o.inFlight < 1:
		return errors.New("--in-flight: want at least 1")
	case o.timeout <= 0:
		return errors.New("--timeout: want more than nothing")
	}
	return nil
}
