package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// sendmailFile is where the settings are when nobody says otherwise.
const sendmailFile = "/etc/calfed/sendmail.yaml"

// sendmailSettings say where the gateway is, and who is calling.
type sendmailSettings struct {
	SMTP         string `json:"smtp"`
	Username     string `json:"username"`
	PasswordFile string `json:"passwordFile"`
	CAFile       string `json:"caFile"`
	Domain       string `json:"domain"`
	Plaintext    bool   `json:"plaintext"`

	file     string // --config
	password string
	host     string // of SMTP
	roots    []byte // PEM of CAFile
}

// loadSendmail completes what options say from the environment and the file, and reads the files that it names.
func loadSendmail(options *sendmailSettings) (*sendmailSettings, error) {
	file, err := readSendmailFile(options.file)
	if err != nil {
		return nil, err
	}
	pick := func(option, variable, filed string) string { return cmp.Or(option, os.Getenv(variable), filed) }
	plain, err := strconv.ParseBool(cmp.Or(os.Getenv("CALFED_SMTP_PLAINTEXT"), "false"))
	if err != nil {
		return nil, errors.New("CALFED_SMTP_PLAINTEXT: want true or false")
	}
	s := &sendmailSettings{
		SMTP:         pick(options.SMTP, "CALFED_SMTP", file.SMTP),
		Username:     pick(options.Username, "CALFED_SMTP_USERNAME", file.Username),
		PasswordFile: pick(options.PasswordFile, "CALFED_SMTP_PASSWORD_FILE", file.PasswordFile),
		CAFile:       pick(options.CAFile, "CALFED_SMTP_CA_FILE", file.CAFile),
		Domain:       pick(options.Domain, "CALFED_SMTP_DOMAIN", file.Domain),
		Plaintext:    options.Plaintext || plain || file.Plaintext,
	}
	switch {
	case s.SMTP == "":
		return nil, errors.New("where is the gateway? set --smtp, CALFED_SMTP, or smtp: in " + sendmailFile)
	case s.Username == "":
		return nil, errors.New("set --username, CALFED_SMTP_USERNAME, or username: of the submitter")
	case s.PasswordFile == "":
		return nil, errors.New("set --password-file, CALFED_SMTP_PASSWORD_FILE, or passwordFile: of the submitter")
	}
	if s.host, _, err = net.SplitHostPort(s.SMTP); err != nil {
		return nil, fmt.Errorf("smtp: %q is not HOST:PORT", s.SMTP)
	}
	if addr, err := netip.ParseAddr(s.host); s.Plaintext && s.host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, fmt.Errorf("plaintext: a password must not cross a network in clear, and %s is not this machine: use TLS", s.host)
	}
	password, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("password file: %w", err)
	}
	if s.password = strings.TrimRight(string(password), "\r\n"); s.password == "" {
		return nil, fmt.Errorf("password file: %s is empty", s.PasswordFile)
	}
	if s.CAFile != "" {
		if s.roots, err = os.ReadFile(s.CAFile); err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
	}
	return s, nil
}

// readSendmailFile reads the file that was asked for, or the usual one where there is one.
func readSendmailFile(name string) (*sendmailSettings, error) {
	s := &sendmailSettings{}
	text, err := os.ReadFile(cmp.Or(name, sendmailFile))
	switch {
	case name == "" && errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("settings: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", cmp.Or(name, sendmailFile), err)
	}
	return s, nil
}
