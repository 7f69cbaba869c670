package imip

import (
	"fmt"
	"strings"
)

// phrase is what a method means to the one who reads it.
type phrase struct {
	subject string // "Invitation"
	does    string // follows the Originator's name; %s is the thing
	todo    string // what to do now; %s is the Originator
}

const (
	answerIt = "To answer, open this mail in your calendar program and accept or decline there. " +
		"If it offers nothing of the kind, simply reply to this mail. Your answer goes to %s."
	noted = "Your calendar program notes this answer when you open this mail there. You need not do anything else."
	gone  = "Your calendar program removes it, or marks it as cancelled, when you open this mail there. You need not answer."
)

// phrase finds the words for this message.
func (l *letter) phrase() phrase {
	switch l.Message.Method {
	case "REQUEST":
		return l.request()
	case "ADD":
		return phrase{"One more date", "adds one more date to %s", answerIt}
	case "CANCEL":
		if l.about.Cancelled {
			return phrase{"Cancelled", "has cancelled %s", gone}
		}
		return phrase{"Cancelled", "has cancelled %s, or no longer needs you there", gone} // RFC 5546 §3.2.5: no STATUS for those who are uninvited
	case "REPLY":
		return l.reply()
	case "REFRESH":
		return phrase{"Please send again", "asks for the latest version of %s", "To send it, open the event in your calendar program and send the invitation again."}
	case "COUNTER":
		return phrase{"Counter proposal", "proposes a change to %s",
			"If you agree, change it in your calendar program: everybody who is invited will be told. If not, tell %s by replying to this mail."}
	case "DECLINECOUNTER":
		return phrase{"Counter proposal declined", "does not take up your proposed change to %s", "It stays as it was. You need not do anything."}
	}
	return phrase{"Calendar message", "sends you a message about %s", ""}
}

func (l *letter) request() phrase {
	p := phrase{"Invitation", "invites you to %s", answerIt}
	if l.task() {
		p.subject, p.does = "Task", "asks you to take on %s"
	}
	if l.updated() {
		p.subject = "Updated " + strings.ToLower(p.subject)
		p.does += ", which has changed"
	}
	return p
}

func (l *letter) task() bool { return l.Message.Component == "VTODO" }

// updated says whether the message is about something that was sent before.
func (l *letter) updated() bool {
	for _, i := range l.Message.Instances {
		if i.Sequence > 0 {
			return true
		}
	}
	return false
}

func (l *letter) reply() phrase {
	invitation := "your invitation to %s"
	if l.task() {
		invitation = "%s"
	}
	switch l.partStat() {
	case "ACCEPTED":
		return phrase{"Accepted", "has accepted " + invitation, noted}
	case "DECLINED":
		return phrase{"Declined", "has declined " + invitation, noted}
	case "TENTATIVE":
		return phrase{"Tentatively accepted", "has tentatively accepted " + invitation, noted}
	case "DELEGATED":
		return phrase{"Delegated", "sends somebody else to %s", noted}
	case "COMPLETED":
		return phrase{"Completed", "has completed %s", noted}
	case "IN-PROCESS":
		return phrase{"In progress", "is working on %s", noted}
	}
	return phrase{"No answer yet", "has not decided yet about %s", noted}
}

// answers are the words for PARTSTAT.
var answers = map[string]string{
	"":           "no answer yet",
	"ACCEPTED":   "accepted",
	"DECLINED":   "declined",
	"TENTATIVE":  "tentative",
	"DELEGATED":  "sends somebody else",
	"COMPLETED":  "completed",
	"IN-PROCESS": "in progress",
}

// thing is what the message is about.
func (l *letter) thing() string {
	what := "this event"
	if l.task() {
		what = "this task"
	}
	switch list := l.about.Instances; {
	case list[0].Recurrence.IsZero():
		return what
	case list[0].ThisAndFuture:
		return "one date of " + what + " and all that follow"
	case len(list) > 1:
		return "some dates of " + what
	}
	return "one date of " + what
}

// origin says where the mail comes from, and why it is a mail.
func (l *letter) origin() string {
	if l.AuthResult != "" {
		return fmt.Sprintf("This mail was written by the calendar gateway %s, which took the message from the calendar service of %s and checked that it comes from there.", l.Host, l.From.Domain())
	}
	return fmt.Sprintf("This mail was sent by the calendar service of %s. It is a mail because %s has no calendar service (iSchedule) that takes such messages directly.", l.From.Domain(), l.To.Domain())
}
