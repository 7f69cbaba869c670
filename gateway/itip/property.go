package itip

// prop numbers the properties that RFC 5546's tables name, and "ALARM" for the VALARM component, which they restrict
// the same way.
type prop uint8

const (
	propOther prop = iota
	propAttach
	propAttendee
	propCategories
	propClass
	propComment
	propCompleted
	propContact
	propCreated
	propDescription
	propDTEnd
	propDTStamp
	propDTStart
	propDue
	propDuration
	propExDate
	propExRule
	propFreeBusy
	propGeo
	propLastModified
	propLocation
	propOrganizer
	propPercentComplete
	propPriority
	propRDate
	propRecurrenceID
	propRelatedTo
	propRequestStatus
	propResources
	propRRule
	propSequence
	propStatus
	propSummary
	propTransp
	propUID
	propURL
	propAlarm
	propCount
)

// propOf finds the number of an upper-case property name.
func propOf(name string) prop {
	switch name {
	case "ATTACH":
		return propAttach
	case "ATTENDEE":
		return propAttendee
	case "CATEGORIES":
		return propCategories
	case "CLASS":
		return propClass
	case "COMMENT":
		return propComment
	case "COMPLETED":
		return propCompleted
	case "CONTACT":
		return propContact
	case "CREATED":
		return propCreated
	case "DESCRIPTION":
		return propDescription
	case "DTEND":
		return propDTEnd
	case "DTSTAMP":
		return propDTStamp
	case "DTSTART":
		return propDTStart
	case "DUE":
		return propDue
	case "DURATION":
		return propDuration
	case "EXDATE":
		return propExDate
	case "EXRULE":
		return propExRule
	case "FREEBUSY":
		return propFreeBusy
	case "GEO":
		return propGeo
	case "LAST-MODIFIED":
		return propLastModified
	case "LOCATION":
		return propLocation
	case "ORGANIZER":
		return propOrganizer
	case "PERCENT-COMPLETE":
		return propPercentComplete
	case "PRIORITY":
		return propPriority
	case "RDATE":
		return propRDate
	case "RECURRENCE-ID":
		return propRecurrenceID
	case "RELATED-TO":
		return propRelatedTo
	case "REQUEST-STATUS":
		return propRequestStatus
	case "RESOURCES":
		return propResources
	case "RRULE":
		return propRRule
	case "SEQUENCE":
		return propSequence
	case "STATUS":
		return propStatus
	case "SUMMARY":
		return propSummary
	case "TRANSP":
		return propTransp
	case "UID":
		return propUID
	case "URL":
		return propURL
	}
	return propOther
}
