package sender

import (
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// exclusion is why a capabilities document does not take a message.
type exclusion struct {
	name ischedule.ErrorName // what the receiver would answer
	why  string
}

// status is what a recipient behind such a receiver gets (IS-CAP-6).
func (x *exclusion) status() ischedule.RequestStatus {
	if x.name == ischedule.VersionNotSupported {
		return ischedule.StatusNoScheduling
	}
	return ischedule.StatusUnsupported
}

// excluded checks a message whose body has size octets against a capabilities document; nil means it is taken. What
// the document does not mention is no limit (IS-CAP-8).
func excluded(c *ischedule.Capabilities, m *itip.Message, size int) *exclusion {
	if c == nil {
		return nil
	}
	switch {
	case !takesVersion(c.Versions):
		return &exclusion{ischedule.VersionNotSupported, "it does not speak iSchedule " + ischedule.Version}
	case !takesICalendar(c.DataTypes):
		return &exclusion{ischedule.InvalidCalendarDataType, "it does not take text/calendar 2.0"}
	case c.MaxContentLength > 0 && int64(size) > c.MaxContentLength:
		return &exclusion{ischedule.MaxContentLength, "the message is larger than max-content-length"}
	}
	if x := m.Exceeds(c); x != nil {
		return &exclusion{x.Name, x.Detail}
	}
	return nil
}

// takesVersion accepts Bedework's "1" too.
func takesVersion(versions []string) bool {
	return len(versions) == 0 || slices.Contains(versions, ischedule.Version) || slices.Contains(versions, "1")
}

func takesICalendar(types []ischedule.DataType) bool {
	return len(types) == 0 || slices.ContainsFunc(types, func(t ischedule.DataType) bool {
		return (t.ContentType == "" || strings.EqualFold(t.ContentType, "text/calendar")) && (t.Version == "" || t.Version == "2.0")
	})
}
