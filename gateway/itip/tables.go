package itip

// The methods of RFC 5546 that travel between an organizer and attendees, in the order of the tables' columns.
// PUBLISH is not among them: D05 §6.1 gives it no recipient, and we refuse it (IS-CAP-4).
const (
	mREQUEST = iota
	mREPLY
	mADD
	mCANCEL
	mREFRESH
	mCOUNTER
	mDECLINECOUNTER
	methodCount
)

func methodOf(name string) int {
	switch name {
	case "REQUEST":
		return mREQUEST
	case "REPLY":
		return mREPLY
	case "ADD":
		return mADD
	case "CANCEL":
		return mCANCEL
	case "REFRESH":
		return mREFRESH
	case "COUNTER":
		return mCOUNTER
	case "DECLINECOUNTER":
		return mDECLINECOUNTER
	}
	return -1
}

// row says how often one property may stand in a main component, a character for each method:
// 1 exactly once, + at least once, ? at most once, * any number, - not at all.
type row struct {
	prop  prop
	name  string
	cards string // REQUEST REPLY ADD CANCEL REFRESH COUNTER DECLINECOUNTER
}

// Where our tables depart from the text: ORGANIZER is needed in every message, and ATTENDEE may stand in a DECLINECOUNTER,
// because D05 §6.1 matches Originator and Recipient against them (RFC 5546 §3.4.6 has REFRESH of a VTODO without ORGANIZER,
// §3.2.8 DECLINECOUNTER without ATTENDEE).

// eventTable is RFC 5546 §3.2.2–3.2.8. IS-ITIP-2.
var eventTable = []row{
	{propAttach, "ATTACH", "****-*-"},
	{propAttendee, "ATTENDEE", "+1**1**"},
	{propCategories, "CATEGORIES", "****-*-"},
	{propClass, "CLASS", "????-?-"},
	{propComment, "COMMENT", "*******"},
	{propContact, "CONTACT", "****-*-"},
	{propCreated, "CREATED", "????-?-"},
	{propDescription, "DESCRIPTION", "????-?-"},
	{propDTEnd, "DTEND", "????-?-"},
	{propDTStamp, "DTSTAMP", "1111111"},
	{propDTStart, "DTSTART", "1?1?-1-"},
	{propDue, "DUE", "-------"},
	{propDuration, "DURATION", "????-?-"},
	{propExDate, "EXDATE", "****-*-"},
	{propFreeBusy, "FREEBUSY", "-------"},
	{propGeo, "GEO", "????-?-"},
	{propLastModified, "LAST-MODIFIED", "????-?-"},
	{propLocation, "LOCATION", "????-?-"},
	{propOrganizer, "ORGANIZER", "1111111"},
	{propPriority, "PRIORITY", "????-?-"},
	{propRDate, "RDATE", "****-*-"},
	{propRecurrenceID, "RECURRENCE-ID", "??-????"},
	{propRelatedTo, "RELATED-TO", "****-*-"},
	{propRequestStatus, "REQUEST-STATUS", "-*---**"},
	{propResources, "RESOURCES", "****-*-"},
	{propRRule, "RRULE", "????-?-"},
	{propSequence, "SEQUENCE", "??11-1?"},
	{propStatus, "STATUS", "????-?-"},
	{propSummary, "SUMMARY", "1?1?-1-"},
	{propTransp, "TRANSP", "????-?-"},
	{propUID, "UID", "1111111"},
	{propURL, "URL", "????-?-"},
	{propAlarm, "VALARM", "*-*--*-"},
}

// todoTable is RFC 5546 §3.4.2–3.4.8. IS-ITIP-2.
var todoTable = []row{
	{propAttach, "ATTACH", "****-**"},
	{propAttendee, "ATTENDEE", "+1**1++"},
	{propCategories, "CATEGORIES", "****-**"},
	{propClass, "CLASS", "????-??"},
	{propComment, "COMMENT", "*******"},
	{propCompleted, "COMPLETED", "????-??"},
	{propContact, "CONTACT", "****-**"},
	{propCreated, "CREATED", "????-??"},
	{propDescription, "DESCRIPTION", "????-??"},
	{propDTEnd, "DTEND", "-------"},
	{propDTStamp, "DTSTAMP", "1111111"},
	{propDTStart, "DTSTART", "1???-??"},
	{propDue, "DUE", "????-??"},
	{propDuration, "DURATION", "????-??"},
	{propExDate, "EXDATE", "****-**"},
	{propFreeBusy, "FREEBUSY", "-------"},
	{propGeo, "GEO", "????-??"},
	{propLastModified, "LAST-MODIFIED", "????-??"},
	{propLocation, "LOCATION", "????-??"},
	{propOrganizer, "ORGANIZER", "1111111"},
	{propPercentComplete, "PERCENT-COMPLETE", "????-??"},
	{propPriority, "PRIORITY", "1?1?-1?"},
	{propRDate, "RDATE", "****-**"},
	{propRecurrenceID, "RECURRENCE-ID", "??-????"},
	{propRelatedTo, "RELATED-TO", "****-**"},
	{propRequestStatus, "REQUEST-STATUS", "-*---**"},
	{propResources, "RESOURCES", "****-**"},
	{propRRule, "RRULE", "????-??"},
	{propSequence, "SEQUENCE", "??11-?1"},
	{propStatus, "STATUS", "????-??"},
	{propSummary, "SUMMARY", "1?1?-1?"},
	{propTransp, "TRANSP", "-------"},
	{propUID, "UID", "1111111"},
	{propURL, "URL", "????-??"},
	{propAlarm, "VALARM", "*-*--*-"},
}

// freeBusyTable is RFC 5546 §3.3.2 and §3.3.3; there are no other methods of VFREEBUSY. IS-ITIP-2.
var freeBusyTable = []row{
	{propAttendee, "ATTENDEE", "+1"},
	{propComment, "COMMENT", "**"},
	{propContact, "CONTACT", "??"},
	{propDTEnd, "DTEND", "11"},
	{propDTStamp, "DTSTAMP", "11"},
	{propDTStart, "DTSTART", "11"},
	{propDuration, "DURATION", "--"},
	{propFreeBusy, "FREEBUSY", "-*"},
	{propOrganizer, "ORGANIZER", "11"},
	{propRecurrenceID, "RECURRENCE-ID", "--"},
	{propRequestStatus, "REQUEST-STATUS", "-*"},
	{propRRule, "RRULE", "--"},
	{propSequence, "SEQUENCE", "--"},
	{propUID, "UID", "11"},
	{propURL, "URL", "-?"},
	{propAlarm, "VALARM", "--"},
}

// tableOf finds the table of a component; nil means that RFC 5546 has none we know.
func tableOf(component string) []row {
	switch component {
	case "VEVENT":
		return eventTable
	case "VTODO":
		return todoTable
	case "VFREEBUSY":
		return freeBusyTable
	}
	return nil
}

// onlyOne says whether a message of the method carries exactly one main component (RFC 5546 §3.2.4, §3.2.6–3.2.8, §3.3, §3.4.4,
// §3.4.6–3.4.8).
func onlyOne(method int) bool {
	switch method {
	case mADD, mREFRESH, mCOUNTER, mDECLINECOUNTER:
		return true
	}
	return false
}

// refuses says whether a missing property makes the whole message unusable; every other departure is a Violation. IS-ITIP-2.
func refuses(p prop) bool {
	switch p {
	case propUID, propDTStamp, propOrganizer, propAttendee, propDTStart:
		return true
	}
	return false
}

// checkTable compares what one main component holds with its table. The first refusing departure is the error.
func (in *inspector) checkTable(c *component) *Error {
	table := tableOf(in.msg.Component)
	for i := range table {
		r := &table[i]
		n := c.count[r.prop]
		switch r.cards[in.method] {
		case '*':
			continue
		case '?':
			if n <= 1 {
				continue
			}
		case '1':
			if n == 1 {
				continue
			}
		case '+':
			if n >= 1 {
				continue
			}
		case '-':
			if n == 0 {
				continue
			}
			in.violate(r.name, "must not appear", int(c.line[r.prop]))
			continue
		}
		if n > 1 {
			in.violate(r.name, "must appear once", int(c.line[r.prop]))
			continue
		}
		if refuses(r.prop) {
			return scheduling(missingReason(r.prop), c.num, r.name+" is missing")
		}
		in.violate(r.name, "must appear", c.num)
	}
	return nil
}

func missingReason(p prop) string {
	switch p {
	case propUID:
		return "uid-missing"
	case propDTStamp:
		return "dtstamp-missing"
	case propOrganizer:
		return "organizer-missing"
	case propAttendee:
		return "attendee-missing"
	}
	return "dtstart-missing"
}
