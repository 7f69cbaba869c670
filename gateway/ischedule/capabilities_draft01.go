package ischedule

// MarshalDraft01 writes the document in the schema of draft-desruisseaux-ischedule-01, the only one that DAViCal reads before
// it posts. That schema has neither serial nor RSCALE; what has no limit is left out.
func (c *Capabilities) MarshalDraft01() []byte {
	x := newXMLWriter()
	x.open("query-result", "xmlns", Namespace)
	x.open("capability-set")
	x.open("supported-version-set")
	for _, v := range c.Versions {
		x.text("version", v)
	}
	x.close("supported-version-set")
	x.open("supported-scheduling-message-set")
	c.writeMessages(x, "comp")
	x.close("supported-scheduling-message-set")
	x.open("supported-calendar-data-type")
	c.writeDataTypes(x)
	x.close("supported-calendar-data-type")
	x.open("supported-attachment-values")
	if c.Attachments.Inline {
		x.empty("inline-attachment")
	}
	if c.Attachments.External {
		x.empty("external-attachment")
	}
	x.close("supported-attachment-values")
	x.open("supported-recipient-uri-scheme-set")
	x.text("scheme", "mailto")
	x.close("supported-recipient-uri-scheme-set")
	for _, e := range []struct{ name, text string }{
		{"max-content-length", limit(c.MaxContentLength)},
		{"min-date-time", instant(c.MinDateTime)},
		{"max-date-time", instant(c.MaxDateTime)},
		{"max-instances", limit(int64(c.MaxInstances))},
		{"max-recipients", limit(int64(c.MaxRecipients))},
		{"administrator", c.Administrator},
	} {
		if e.text != "" {
			x.text(e.name, e.text)
		}
	}
	x.close("capability-set")
	x.close("query-result")
	return x.bytes()
}
