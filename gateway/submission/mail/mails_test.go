package mail_test

import (
	"fmt"
	"strings"
)

// event is an iTIP message.
func event(method, organizer string, attendees ...string) string {
	var b strings.Builder
	for _, a := range attendees {
		fmt.Fprintf(&b, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:%s\r\n", a)
	}
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nMETHOD:" + method + "\r\nBEGIN:VEVENT\r\nUID:1@test\r\n" +
		"DTSTAMP:20261101T100000Z\r\nDTSTART:20261201T100000Z\r\nDTEND:20261201T110000Z\r\nSEQUENCE:0\r\nSUMMARY:Plans\r\n" +
		"ORGANIZER:mailto:" + organizer + "\r\n" + b.String() + "END:VEVENT\r\nEND:VCALENDAR\r\n"
}

// imipMail carries an iTIP message; fields go on top.
func imipMail(from, calendar string, fields ...string) string {
	return strings.Join(append(fields, ""), "\r\n") + "From: Somebody <" + from + ">\r\nTo: undisclosed\r\nSubject: Plans\r\nMessage-ID: <m1@test>\r\n" +
		"Date: Sun, 01 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nPlans.\r\n--b\r\nContent-Type: text/calendar; charset=utf-8; method=" + method(calendar) +
		"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + calendar + "\r\n--b--\r\n"
}

func method(calendar string) string {
	_, rest, _ := strings.Cut(calendar, "METHOD:")
	name, _, _ := strings.Cut(rest, "\r\n")
	return name
}

const plainMail = "From: anna@example.org\r\nTo: bob@peer.example\r\nSubject: hello\r\n\r\nNo calendar in here.\r\n.\r\n..two\r\n"

// authenticated is what our MX says of mail whose From it has proven.
func authenticated(domain string) string {
	return "Authentication-Results: mx.example.org; dmarc=pass header.from=" + domain
}

const passedMX = "Received: from far.example by mx.example.org; Sun, 01 Nov 2026 10:00:00 +0000"
