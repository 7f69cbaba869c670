package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
)

func newDKIMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dkim",
		Short: "Make keys, write key records, sign and verify requests",
		Long: "DKIM over HTTP as iSchedule uses it: keys, key records, and signatures of raw HTTP/1.1 request\n" +
			"files.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeygenCommand(), newRecordCommand(), newSignCommand(), newVerifyCommand())
	return cmd
}

func newKeygenCommand() *cobra.Command {
	var algorithm, out string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a signing key",
		Long: "Makes a private key in PEM (PKCS#8). With --out it goes into a new file that only you can read,\n" +
			"and the record to publish is printed; without, the key itself is printed. An existing file is\n" +
			"never overwritten.",
		Example: "  calfed dkim keygen --out example-org.pem\n  calfed dkim keygen --algorithm ed25519 > key.pem",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := dkim.GenerateKey(algorithm)
			if err != nil {
				return fmt.Errorf("--algorithm: %w", err)
			}
			block, err := dkim.MarshalPrivateKey(key)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(block)
				return err
			}
			if err := writeNewFile(out, block); err != nil {
				return err
			}
			record, err := dkim.FormatRecord(key.Public(), false)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), record)
			return err
		},
	}
	cmd.Flags().StringVar(&algorithm, "algorithm", "rsa-2048", "rsa-2048, rsa-3072, rsa-4096 or ed25519")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to create, mode 0600")
	return cmd
}

// writeNewFile creates a file for a secret, and fails when there is one already.
func writeNewFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// keyRecord is what `dkim record` says, and its JSON form.
type keyRecord struct {
	Record    string `json:"record"`
	Algorithm string `json:"algorithm"`
	Name      string `json:"name,omitempty"` // of the TXT record
	Zone      string `json:"zone,omitempty"` // the whole line, master file format
}

func newRecordCommand() *cobra.Command {
	var key, domain, selector, output string
	var iScheduleOnly bool
	cmd := &cobra.Command{
		Use:   "record --key FILE",
		Short: "Print the record to publish for a key",
		Long: "Prints the DKIM key record of a private or public key (PEM), as DNS TXT and http/well-known carry\n" +
			"it. With --domain and --selector it prints the whole line for a zone file.",
		Example: "  calfed dkim record --key example-org.pem --domain example.org --selector cal",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if (domain == "") != (selector == "") {
				return errors.New("--domain and --selector go together")
			}
			data, err := os.ReadFile(key)
			if err != nil {
				return err
			}
			pub, err := publicKey(data)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			rec := keyRecord{Algorithm: algorithmName(pub)}
			if rec.Record, err = dkim.FormatRecord(pub, iScheduleOnly); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if domain != "" {
				if domain, err = cua.Domain(domain); err != nil {
					return fmt.Errorf("--domain: %w", err)
				}
				if selector, err = cua.Domain(selector); err != nil {
					return fmt.Errorf("--selector: %w", err)
				}
				rec.Name = selector + "._domainkey." + domain + "."
				rec.Zone = rec.Name + " IN TXT " + quotedStrings(rec.Record)
			}
			return printRecord(cmd.OutOrStdout(), rec, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "PEM `FILE` with a private or public key")
	f.StringVar(&domain, "domain", "", "d= of the signatures")
	f.StringVar(&selector, "selector", "", "s= of the signatures")
	f.BoolVar(&iScheduleOnly, "ischedule-only", false, "add s=ischedule, so that the key cannot sign e-mail (Cyrus and DAViCal refuse such keys)")
	addOutputFlag(cmd, &output)
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func printRecord(w io.Writer, rec keyRecord, output string) error {
	if output == outputJSON {
		return printJSON(w, rec)
	}
	line := rec.Record
	if rec.Zone != "" {
		line = rec.Zone
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// publicKey reads the public key out of a PEM file of either half.
func publicKey(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE", "CERTIFICATE REQUEST":
		return nil, fmt.Errorf("a %s, where a private or public key is needed", block.Type)
	}
	key, err := dkim.ParsePrivateKey(data)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

// algorithmName is the keygen name of a key's algorithm.
func algorithmName(pub crypto.PublicKey) string {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", pub.N.BitLen())
	case ed25519.PublicKey:
		return "ed25519"
	}
	return fmt.Sprintf("%T", pub)
}

// quotedStrings splits a TXT value into strings of at most 255 octets (RFC 1035 §3.3.14).
func quotedStrings(value string) string {
	var out strings.Builder
	for value != "" {
		n := min(len(value), 255)
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value[:n]) + `"`)
		value = value[n:]
	}
	return out.String()
}
