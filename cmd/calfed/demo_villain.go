package main

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
)

const partyUID = "party@example"

// stranger is a message of an organisation that nobody here has agreed to talk with.
func (s *story) stranger(ctx context.Context) error {
	s.chapter("Mallory, of mallory.example, invites Bert to a party")
	key, err := dkim.GenerateKey("rsa-2048")
	if err != nil {
		return err
	}
	mallory := cua.MustParse("mailto:mallory@mallory.example")
	message, err := s.signed(key, mallory, partyUID, bert)
	if err != nil {
		return err
	}
	if err := s.refused(ctx, message, ischedule.OriginatorDenied, bert, partyUID); err != nil {
		return err
	}
	asked := s.dns.Queries("cal._domainkey."+mallory.Domain(), dns.TypeTXT)
	return s.expect(asked == 0, "her key was not even looked up: no policy knows her", "it was asked for %d times", asked)
}

// forged is a message in Anna's name, signed with a key that is not her organisation's.
func (s *story) forged(ctx context.Context) error {
	s.chapter("Mallory invites Bert in Anna's name, signed with a key of her own")
	key, err := dkim.GenerateKey("rsa-2048")
	if err != nil {
		return err
	}
	message, err := s.signed(key, anna, partyUID, bert)
	if err != nil {
		return err
	}
	return s.refused(ctx, message, ischedule.VerificationFailed, bert, partyUID)
}

// tampered is a genuine message with another body.
func (s *story) tampered(ctx context.Context) error {
	s.chapter("Mallory changes the invitation on its way: 'Tea' becomes 'Payment due'")
	message := *s.invitation
	message.body = bytes.Replace(message.body, []byte("SUMMARY:Tea"), []byte("SUMMARY:Payment due"), 1)
	return s.refused(ctx, &message, ischedule.VerificationFailed, bert, teaUID)
}

// replayed is a genuine message, once more.
func (s *story) replayed(ctx context.Context) error {
	s.chapter("Mallory sends the recorded invitation again, byte for byte, to bring the tea back")
	before := s.beta.calendars.Writes()
	answer, err := s.beta.wire.play(ctx, s.invitation)
	if err != nil {
		return err
	}
	s.quote(fmt.Sprintf("HTTP %d   gateway's log: result=%s reason=%s", answer.status, s.beta.journal.field("result"), s.beta.journal.field("reason")))
	if err := s.expect(answer.status == http.StatusOK && bytes.Equal(answer.answer, s.invitation.answer),
		"she gets the answer that was recorded the first time", "the gateway answered %d", answer.status); err != nil {
		return err
	}
	return s.expect(s.beta.calendars.Writes() == before && s.cancelled(bert), "nothing was delivered again: the tea is still off",
		"something was delivered")
}

// redirected is a genuine message to somebody else.
func (s *story) redirected(ctx context.Context) error {
	s.chapter("Mallory sends it to Carla instead")
	message := *s.invitation
	message.header = message.header.Clone()
	message.header.Set(ischedule.HeaderRecipient, carla.URI())
	return s.refused(ctx, &message, ischedule.VerificationFailed, carla, teaUID)
}

// refused expects beta's gateway to refuse the message with that error, and to deliver nothing.
func (s *story) refused(ctx context.Context, message *passed, name ischedule.ErrorName, user cua.Address, uid string) error {
	before, deliveries := s.beta.calendars.Object(user, uid), s.beta.calendars.Writes()
	answer, err := s.beta.wire.play(ctx, message)
	if err != nil {
		return err
	}
	refusal, is := ischedule.ReadError(answer.status, answer.answer)
	if !is {
		return fmt.Errorf("expected a refusal, but the gateway answered %d", answer.status)
	}
	s.quote(fmt.Sprintf("HTTP %d %s   gateway's log: reason=%s", answer.status, refusal.Name, s.beta.journal.field("reason")))
	if err := s.expect(answer.status == http.StatusForbidden && refusal.Name == name,
		"the message is refused", "the gateway answered %d %s", answer.status, refusal.Name); err != nil {
		return err
	}
	return s.expect(s.beta.calendars.Writes() == deliveries && bytes.Equal(before, s.beta.calendars.Object(user, uid)),
		strings.ToUpper(user.Local()[:1])+user.Local()[1:]+"'s calendar is untouched", "it has changed")
}

// signed is an invitation to one user, signed for the domain of whoever it says it is from, with any key.
func (s *story) signed(key crypto.Signer, from cua.Address, uid string, to cua.Address) (*passed, error) {
	body := s.event("REQUEST", uid, 0, 20, 22, "Party", []string{attendee(to, "NEEDS-ACTION")})
	body = bytes.ReplaceAll(body, []byte(anna.URI()), []byte(from.URI()))
	header := http.Header{
		ischedule.HeaderVersion:    {ischedule.Version},
		ischedule.HeaderMessageID:  {"mallory-" + from.Local()},
		ischedule.HeaderOriginator: {from.URI()},
		ischedule.HeaderRecipient:  {to.URI()},
		"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
		"User-Agent":               {"mallory/1"},
	}
	signer := dkim.Signer{Domain: from.Domain(), Selector: s.alpha.Selector, Key: key}
	value, err := signer.Sign(header, body, time.Now())
	if err != nil {
		return nil, err
	}
	header.Set(ischedule.HeaderDKIMSignature, value)
	return &passed{path: ischedule.WellKnownPath, header: header, body: body}, nil
}
