package imip

// phrase is what a method means to the one who reads it.
type phrase struct {
	subject string // "Invitation"
	does    string // follows the Originator's name: "invites you to"; the thing follows
	todo    string // what to do now; %s is the Originator
}

const (
	answerIt = "To answer, open this mail in your calendar program and accept or decline there. " +
		"If it offers nothing of the kind, simply reply to this mail. Your answer goes to %s."
	finishIt = "To accept it, open this mail in your calendar program. If it offers nothing of the kind, simply reply to this mail. Your answer goes to %s."
	noted    = "Your calendar program notes this answer. You need not do anything."
)

// phrase finds the words for this message.
func (l *letter) phrase() phrase {
	task := l.about.Component == "VTODO"
	switch l.Message.Method {
	case "REQUEST":
		return l.request(task)
	case "ADD":
		return phrase{"One more date", "adds one more date to", answerIt}
	case "CANCEL":
		return l.cancel()
	case "REPLY":
		return l.reply()
	case "REFRESH":
		return phrase{"Please send again", "asks for the latest version of", "To send it, open it in your calendar program and send the invitation again."}
	case "COUNTER":
		return phrase{"Counter proposal", "proposes a change to",
			"If you agree, change it in your calendar program: everybody who is invited will be told. If not, tell %s by replying to this mail."}
	case "DECLINECOUNTER":
		return phrase{"Counter proposal declined", "does not take up your proposed change to", "It stays as it was. You need not do anything."}
	}
	return phrase{"Calendar message", "sends you a message about", ""}
}

func (l *letter) request(task bool) phrase {
	p := phrase{"Invitation", "invites you to", answerIt}
	if task {
		p = phrase{"Task", "asks you to take on", finishIt}
	}
	if !l.updated() {
		return p
	}
	p.subject, p.does = "Updated "+lowerFirst(p.subject), "has changed, and invites you again to,"
	if task {
		p.does = "has changed, and asks you again to take on,"
	}
	return p
}

// updated says whether the message is about something that was sent before.
func (l *letter) updated() bool {
	for _, i := range l.Message.Instances {
		if i.Sequence > 0 {
			return true
		}
	}
	return false
}

func (l *letter) cancel() phrase {
	const gone = "Your calendar program takes it out of your calendar, or marks it as cancelled. You need not answer."
	if l.about.Cancelled {
		return phrase{"Cancelled", "has cancelled", gone}
	}
	return phrase{"Cancelled", "has cancelled, or no longer needs you at,", gone} // RFC 5546 §3.2.5: no STATUS for those who are uninvited
}

func (l *letter) reply() phrase {
	switch l.partStat() {
	case "ACCEPTED":
		return phrase{"Accepted", "has accepted", noted}
	case "DECLINED":
		return phrase{"Declined", "has declined", noted}
	case "TENTATIVE":
		return phrase{"Tentatively accepted", "has accepted tentatively, and may not come to,", noted}
	case "DELEGATED":
		return phrase{"Delegated", "sends somebody else to", noted}
	case "COMPLETED":
		return phrase{"Completed", "has completed", noted}
	case "IN-PROCESS":
		return phrase{"In progress", "is working on", noted}
	}
	return phrase{"No answer yet", "has not decided yet about", noted}
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
