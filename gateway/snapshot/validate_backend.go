package snapshot

import "strings"

// validate checks a back end; smarthost says whether mail without a server of its own can leave.
func (b *Backend) validate(smarthost bool) error {
	for _, member := range []struct {
		of   BackendType
		name string
		set  bool
	}{
		{BackendISchedule, "iSchedule", b.ISchedule != nil},
		{BackendCalDAV, "calDAV", b.CalDAV != nil},
		{BackendIMIP, "iMIP", b.IMIP != nil},
	} {
		if member.set && member.of != b.Type {
			return wrong(member.name, "does not belong to type %s", b.Type)
		}
		if !member.set && member.of == b.Type {
			return wrong(member.name, "missing")
		}
	}
	switch b.Type {
	case BackendISchedule:
		return at("iSchedule.url", checkURL(b.ISchedule.URL, "http", "https"))
	case BackendCalDAV:
		return at("calDAV", b.CalDAV.validate())
	case BackendIMIP:
		return at("iMIP", b.IMIP.validate(smarthost))
	case BackendMemory:
		return nil
	}
	return wrong("type", "%q is no back end of this version", b.Type)
}

func validateFreeBusy(b *Backend) error {
	switch {
	case b == nil:
		return nil
	case b.Type == BackendIMIP:
		return wrong("type", "mail answers no free/busy question")
	}
	return b.validate(false)
}

func (c *CalDAV) validate() error {
	switch c.Profile {
	case ProfileCyrus, ProfileDAViCal, ProfileRadicale, ProfileSabreDAV:
	default:
		return wrong("profile", "%q is no profile of this version", c.Profile)
	}
	if c.Profile == ProfileRadicale && c.PrincipalTemplate == "" {
		return wrong("principalTemplate", "missing: Radicale does not know its users' addresses")
	}
	if c.PrincipalTemplate != "" {
		if err := CheckPrincipalTemplate(c.PrincipalTemplate); err != nil {
			return at("principalTemplate", err)
		}
	}
	if c.FreeBusyPrincipal != "" {
		if err := CheckPath(c.FreeBusyPrincipal); err != nil {
			return at("freeBusyPrincipal", err)
		}
	}
	if strings.Contains(c.URL, "?") {
		return wrong("url", "must not hold a query")
	}
	if c.Token != "" && (c.Username != "" || c.Password != "") {
		return wrong("token", "does not go with a user name and password")
	}
	return firstError(
		at("url", checkURL(c.URL, "http", "https")),
		at("token", checkVisible(c.Token)),
		at("username", checkBasicName(c.Username)),
		checkLogin(c.Username, c.Password),
	)
}

func (m *IMIP) validate(smarthost bool) error {
	if m.Server != nil {
		return at("server", m.Server.validate())
	}
	if !smarthost {
		return wrong("server", "missing, and there is no smarthost")
	}
	return nil
}
