package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
)

// sendmailCall is what the arguments of sendmail say.
type sendmailCall struct {
	from       *string // -f, nil = not given
	name       string  // -F
	fromHeader bool    // -t
	ignoreDots bool    // -i
	session    bool    // -bs
	notify     []smtp.DSNNotify
	returned   smtp.DSNReturn
	envelopeID string
	recipients []string
	settings   sendmailSettings
}

var errHelpWanted = errors.New("help")

// The options of sendmail by their letter. Those with an argument have it in the same word or in the next.
const (
	sendmailArgument = "fFrNRVBCDLMOopXbehdq" // of these, some only in the same word:
	sendmailAttached = "oMbedhq"
	sendmailIgnored  = "BCDLMOpXehdAGUnmsvJc" // what is about queues, logs and other files
)

// parseSendmail reads the arguments as sendmail does, and the long ones of ours.
func parseSendmail(args []string) (*sendmailCall, error) {
	c := &sendmailCall{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			c.recipients = append(c.recipients, args...)
			return c, nil
		case strings.HasPrefix(arg, "--"):
			rest, err := c.long(arg[2:], args)
			if err != nil {
				return nil, err
			}
			args = rest
		case len(arg) > 1 && arg[0] == '-':
			rest, err := c.short(arg[1:], args)
			if err != nil {
				return nil, err
			}
			args = rest
		default:
			c.recipients = append(c.recipients, arg)
		}
	}
	return c, nil
}

// short reads one word of options: one with an argument, or several without.
func (c *sendmailCall) short(word string, rest []string) ([]string, error) {
	for word != "" {
		letter := word[0]
		word = word[1:]
		if !strings.ContainsRune(sendmailArgument, rune(letter)) {
			if err := c.set(letter, ""); err != nil {
				return nil, err
			}
			continue
		}
		if word == "" && !strings.ContainsRune(sendmailAttached, rune(letter)) {
			if len(rest) == 0 {
				return nil, fmt.Errorf("-%c wants an argument", letter)
			}
			word, rest = rest[0], rest[1:]
		}
		return rest, c.set(letter, word)
	}
	return rest, nil
}

func (c *sendmailCall) set(letter byte, value string) (err error) {
	switch letter {
	case 'i':
		c.ignoreDots = true
	case 't':
		c.fromHeader = true
	case 'f', 'r':
		c.from = &value
	case 'F':
		c.name = value
	case 'N':
		c.notify, err = notifications(value)
	case 'R':
		c.returned = smtp.DSNReturn(strings.ToUpper(value))
		if c.returned != smtp.DSNReturnFull && c.returned != smtp.DSNReturnHeaders {
			return fmt.Errorf("-R %s: want hdrs or full", value)
		}
	case 'V':
		c.envelopeID = value
	case 'o': // -oi, -oem, -odb …
		c.ignoreDots = c.ignoreDots || value == "i"
	case 'b':
		switch value {
		case "m":
		case "s":
			c.session = true
		default:
			return fmt.Errorf("-b%s: there is no queue and no table here; only -bm and -bs", value)
		}
	default:
		if !strings.ContainsRune(sendmailIgnored, rune(letter)) {
			return fmt.Errorf("unknown option -%c; see calfed sendmail --help", letter)
		}
	}
	return err
}

func notifications(value string) ([]smtp.DSNNotify, error) {
	var out []smtp.DSNNotify
	for when := range strings.SplitSeq(strings.ToUpper(value), ",") {
		n := smtp.DSNNotify(when)
		switch n {
		case smtp.DSNNotifyNever, smtp.DSNNotifySuccess, smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed:
		default:
			return nil, fmt.Errorf("-N %s: want never, or some of success,failure,delay", value)
		}
		out = append(out, n)
	}
	if len(out) > 1 && slices.Contains(out, smtp.DSNNotifyNever) {
		return nil, fmt.Errorf("-N %s: never stands alone", value)
	}
	return out, nil
}

// long reads --name VALUE or --name=VALUE.
func (c *sendmailCall) long(arg string, rest []string) ([]string, error) {
	name, value, given := strings.Cut(arg, "=")
	switch name {
	case "help":
		return nil, errHelpWanted
	case "plaintext":
		c.settings.Plaintext = true
		return rest, nil
	}
	target := map[string]*string{
		"smtp": &c.settings.SMTP, "username": &c.settings.Username, "password-file": &c.settings.PasswordFile,
		"ca-file": &c.settings.CAFile, "domain": &c.settings.Domain, "config": &c.settings.file,
	}[name]
	switch {
	case target == nil:
		return nil, fmt.Errorf("unknown option --%s; see calfed sendmail --help", name)
	case !given && len(rest) == 0:
		return nil, fmt.Errorf("--%s wants a value", name)
	case !given:
		value, rest = rest[0], rest[1:]
	}
	*target = value
	return rest, nil
}
