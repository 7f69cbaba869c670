package ischedule_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/ischedule"
)

func at(year int, month time.Month, day, hour, minute, second int) time.Time {
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
}

var draft01 = ischedule.Capabilities{
	Versions: []string{"1.0"},
	Messages: []ischedule.Component{
		{Name: "VEVENT", Methods: []string{"REQUEST", "ADD", "REPLY", "CANCEL"}},
		{Name: "VTODO"},
		{Name: "VFREEBUSY"},
	},
	DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
	Attachments:      ischedule.Attachments{Inline: true},
	MaxContentLength: 102400,
	MinDateTime:      at(1991, 1, 1, 0, 0, 0),
	MaxDateTime:      at(2038, 12, 31, 0, 0, 0),
	MaxInstances:     150,
	MaxRecipients:    250,
	Administrator:    "mailto:admin@dav.example.net",
}

// Proves: IS-CAP-8
func TestReadCapabilitiesOfEveryPeer(t *testing.T) {
	egroupware := draft01
	egroupware.Attachments.External = true
	egroupware.Administrator = "mailto:ischedule-admin@egw.example"
	for _, tc := range []struct {
		file string
		want ischedule.Capabilities
	}{
		{"cyrus-3.6.1-capabilities.xml", ischedule.Capabilities{
			Serial:   1795348146,
			Versions: []string{"1.0"},
			Messages: []ischedule.Component{
				{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY", "CANCEL"}},
				{Name: "VTODO", Methods: []string{"REQUEST", "REPLY", "CANCEL"}},
				{Name: "VPOLL", Methods: []string{"POLLSTATUS", "REQUEST", "REPLY", "CANCEL"}},
				{Name: "VFREEBUSY", Methods: []string{"REQUEST"}},
			},
			DataTypes: []ischedule.DataType{
				{ContentType: "text/calendar", Version: "2.0"},
				{ContentType: "application/calendar+xml", Version: "2.0"},
				{ContentType: "application/calendar+json", Version: "2.0"},
			},
			Attachments: ischedule.Attachments{Inline: true},
			RScales: []string{"BUDDHIST", "CHINESE", "COPTIC", "DANGI", "ETHIOPIC", "ETHIOPIC-AMETE-ALEM", "GREGORIAN", "HEBREW",
				"INDIAN", "ISLAMIC", "ISLAMIC-CIVIL", "ISLAMIC-RGSA", "ISLAMIC-TBLA", "ISLAMIC-UMALQURA", "ISO8601", "JAPANESE",
				"PERSIAN", "ROC"},
			MaxContentLength: 2147483647,
			MinDateTime:      at(1901, 12, 13, 20, 45, 52),
			MaxDateTime:      at(2038, 1, 19, 3, 14, 7),
		}},
		{"davical-1.1.12-capabilities.xml", draft01},
		{"egroupware-capabilities.xml", egroupware},
		{"calendarserver-capabilities.xml", ischedule.Capabilities{
			Serial:   17, // from a version element
			Versions: []string{"1.0"},
			Messages: []ischedule.Component{
				{Name: "VEVENT", Methods: []string{"REQUEST", "CANCEL", "REPLY"}},
				{Name: "VFREEBUSY", Methods: []string{"REQUEST"}},
			},
			DataTypes: []ischedule.DataType{
				{ContentType: "text/calendar", Version: "2.0"},
				{ContentType: "application/calendar+json", Version: "2.0"},
			},
			Attachments:      ischedule.Attachments{External: true},
			MaxContentLength: 1048576,
			MinDateTime:      at(2025, 1, 1, 0, 0, 0),
			MaxDateTime:      at(2036, 1, 1, 0, 0, 0),
			MaxInstances:     400,
			MaxRecipients:    100,
			Administrator:    "https://cal.example.com:8443/ischedule",
		}},
		{"bedework-capabilities.xml", ischedule.Capabilities{
			Versions: []string{"1.0"}, // it says 1
			Messages: []ischedule.Component{
				{Name: "VEVENT", Methods: []string{"REQUEST", "ADD", "REPLY", "CANCEL"}},
				{Name: "VTODO"},
				{Name: "VFREEBUSY"},
			},
			DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
			Attachments:      ischedule.Attachments{Inline: true, External: true},
			MaxContentLength: 100000,
			MaxInstances:     1000,
		}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", tc.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := ischedule.ReadCapabilities(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func document(inner string) string {
	return `<query-result xmlns="` + ischedule.Namespace + `"><capabilities>` + inner + `</capabilities></query-result>`
}

// Proves: IS-CAP-8
func TestReadCapabilitiesTolerates(t *testing.T) {
	all := ischedule.Attachments{Inline: true, External: true}
	for _, tc := range []struct {
		rule, body string
		want       ischedule.Capabilities
	}{
		{"an empty document: no limits", document(""), ischedule.Capabilities{Attachments: all}},
		{"empty numeric elements", document("<max-recipients/><max-instances> </max-instances><max-content-length></max-content-length>"), ischedule.Capabilities{Attachments: all}},
		{"numbers that are none", document("<max-recipients>many</max-recipients><max-instances>-1</max-instances><max-content-length>99999999999999999999</max-content-length><serial-number>x</serial-number>"), ischedule.Capabilities{Attachments: all}},
		{"blanks around a number", document("<max-recipients>\n 5 </max-recipients>"), ischedule.Capabilities{Attachments: all, MaxRecipients: 5}},
		{"dates in other forms", document("<min-date-time>19910101</min-date-time><max-date-time>2038-12-31T00:00:00Z</max-date-time>"), ischedule.Capabilities{Attachments: all, MinDateTime: at(1991, 1, 1, 0, 0, 0), MaxDateTime: at(2038, 12, 31, 0, 0, 0)}},
		{"dates that are none", document("<min-date-time>long ago</min-date-time>"), ischedule.Capabilities{Attachments: all}},
		{"unknown elements", document(`<future x="y"><max-recipients>1</max-recipients></future><max-instances>7</max-instances>`), ischedule.Capabilities{Attachments: all, MaxInstances: 7}},
		{"elements of other namespaces", document(`<x:max-instances xmlns:x="urn:x">1</x:max-instances>`), ischedule.Capabilities{Attachments: all}},
		{"no namespace", `<query-result><capabilities><max-instances>7</max-instances></capabilities></query-result>`, ischedule.Capabilities{Attachments: all, MaxInstances: 7}},
		{"no capabilities element between", `<query-result xmlns="` + ischedule.Namespace + `"><serial-number>123</serial-number></query-result>`, ischedule.Capabilities{Attachments: all, Serial: 123}},
		{"capabilities as the root", `<capabilities xmlns="` + ischedule.Namespace + `"><serial-number>123</serial-number></capabilities>`, ischedule.Capabilities{Attachments: all, Serial: 123}},
		{"a byte order mark and blank lines", "\uFEFF\n\n" + document("<serial-number>1</serial-number>"), ischedule.Capabilities{Attachments: all, Serial: 1}},
		{"a stray version alone is a version", document("<version>1.0</version>"), ischedule.Capabilities{Attachments: all, Versions: []string{"1.0"}}},
		{"a serial number wins over a stray version", document("<version>5</version><versions><version>1.0</version></versions><serial-number>9</serial-number>"), ischedule.Capabilities{Attachments: all, Serial: 9, Versions: []string{"1.0"}}},
		{"an empty message list takes nothing", document("<scheduling-messages/>"), ischedule.Capabilities{Attachments: all, Messages: []ischedule.Component{}}},
		{"lower-case names, nameless components", document(`<scheduling-messages><component name="vevent"><method name="request"/><method/></component><component/><component name="&#10;"/></scheduling-messages>`), ischedule.Capabilities{Attachments: all, Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}}}},
		{"no attachments", document("<attachments/>"), ischedule.Capabilities{}},
		{"types by default", document("<calendar-data-types><calendar-data-type/></calendar-data-types>"), ischedule.Capabilities{Attachments: all, DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}}}},
		{"stray control characters", document("<serial-number>1\x00</serial-number>"), ischedule.Capabilities{Attachments: all, Serial: 1}},
		{"whatever follows the root", document("<serial-number>1</serial-number>") + "<br>Notice: x", ischedule.Capabilities{Attachments: all, Serial: 1}},
		{"an administrator that would break a log line", document("<administrator>a&#10;b\u202e</administrator>"), ischedule.Capabilities{Attachments: all, Administrator: "a b"}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := ischedule.ReadCapabilities([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Proves: IS-CAP-8
func TestReadCapabilitiesRefuses(t *testing.T) {
	for _, tc := range []struct{ rule, body string }{
		{"nothing", ""},
		{"no XML", "Not Found"},
		{"another document", "<html><body/></html>"},
		{"another namespace", `<query-result xmlns="urn:x"/>`},
		{"an unfinished document", document("")[:80]},
		{"more than 256 KiB", document("<!--" + strings.Repeat("x", ischedule.MaxCapabilitiesBytes) + "-->")},
		{"a DTD", `<!DOCTYPE query-result [<!ENTITY a "b">]>` + document("")},
		{"an external entity", `<!DOCTYPE q SYSTEM "file:///etc/passwd">` + document("")},
		{"an undefined entity", document("<administrator>&a;</administrator>")},
		{"endless nesting", document(strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000))},
		{"endless elements", document(strings.Repeat("<a/>", 60000))},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			c, err := ischedule.ReadCapabilities([]byte(tc.body))
			if !errors.Is(err, ischedule.ErrDocument) {
				t.Fatalf("%+v, %v", c, err)
			}
			if strings.Contains(err.Error(), "passwd") {
				t.Errorf("the error repeats the document: %v", err)
			}
		})
	}
}

// Proves: IS-CAP-1, IS-CAP-4
func TestMarshalWritesEveryCapability(t *testing.T) {
	c := ischedule.Capabilities{
		Serial:   1795348146,
		Versions: []string{"1.0"},
		Messages: []ischedule.Component{
			{Name: "VEVENT", Methods: []string{"REQUEST", "ADD"}},
			{Name: "VTODO"},
		},
		DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
		Attachments:      ischedule.Attachments{External: true},
		RScales:          []string{"GREGORIAN"},
		MaxContentLength: 1048576,
		MinDateTime:      at(1970, 1, 1, 0, 0, 0),
		MaxDateTime:      at(2100, 1, 1, 0, 0, 0),
		MaxInstances:     1000,
		MaxRecipients:    100,
		Administrator:    "https://example.org/?a&b",
	}
	want := `<?xml version="1.0" encoding="utf-8"?>
<query-result xmlns="urn:ietf:params:xml:ns:ischedule">
  <capabilities>
    <serial-number>1795348146</serial-number>
    <versions>
      <version>1.0</version>
    </versions>
    <scheduling-messages>
      <component name="VEVENT">
        <method name="REQUEST"/>
        <method name="ADD"/>
      </component>
      <component name="VTODO"/>
    </scheduling-messages>
    <calendar-data-types>
      <calendar-data-type content-type="text/calendar" version="2.0"/>
    </calendar-data-types>
    <attachments>
      <external/>
    </attachments>
    <rscales>
      <rscale>GREGORIAN</rscale>
    </rscales>
    <max-content-length>1048576</max-content-length>
    <min-date-time>19700101T000000Z</min-date-time>
    <max-date-time>21000101T000000Z</max-date-time>
    <max-instances>1000</max-instances>
    <max-recipients>100</max-recipients>
    <administrator>https://example.org/?a&amp;b</administrator>
  </capabilities>
</query-result>
`
	if diff := cmp.Diff(want, string(c.Marshal())); diff != "" {
		t.Error(diff)
	}
	empty := string((&ischedule.Capabilities{}).Marshal())
	for _, name := range []string{"serial-number", "versions", "scheduling-messages", "calendar-data-types", "attachments", "rscales",
		"max-content-length", "min-date-time", "max-date-time", "max-instances", "max-recipients", "administrator"} {
		if !strings.Contains(empty, "<"+name) {
			t.Errorf("%s is missing from the empty document", name)
		}
	}
}

// Proves: IS-CAP-4, IS-CAP-8
func TestAllows(t *testing.T) {
	c := &ischedule.Capabilities{Messages: []ischedule.Component{
		{Name: "VEVENT", Methods: []string{"REQUEST"}},
		{Name: "VTODO"},
	}}
	for _, tc := range []struct {
		c                 *ischedule.Capabilities
		component, method string
		want              bool
	}{
		{c, "VEVENT", "REQUEST", true},
		{c, "vevent", "request", true},
		{c, "VEVENT", "PUBLISH", false},
		{c, "VTODO", "REPLY", true},
		{c, "VFREEBUSY", "REQUEST", false},
		{&ischedule.Capabilities{}, "VEVENT", "REQUEST", true},
		{&ischedule.Capabilities{Messages: []ischedule.Component{}}, "VEVENT", "REQUEST", false},
	} {
		if got := tc.c.Allows(tc.component, tc.method); got != tc.want {
			t.Errorf("%v allows %s of %s: %v", tc.c.Messages, tc.method, tc.component, got)
		}
	}
}

// Proves: IS-CAP-4, IS-CAP-8
func TestCapabilitiesRoundTrip(t *testing.T) {
	word := rapid.StringMatching(`[A-Z][A-Z0-9-]{0,8}`)
	instant := rapid.Custom(func(t *rapid.T) time.Time { return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "unix"), 0).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		c := &ischedule.Capabilities{
			Serial:   rapid.Uint64().Draw(t, "serial"),
			Versions: rapid.SliceOfN(rapid.StringMatching(`[1-9]\.[0-9]`), 1, 3).Draw(t, "versions"),
			Messages: rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) ischedule.Component {
				c := ischedule.Component{Name: word.Draw(t, "name")}
				if methods := rapid.SliceOfNDistinct(word, 0, 4, rapid.ID[string]).Draw(t, "methods"); len(methods) > 0 {
					c.Methods = methods
				}
				return c
			}), 1, 4, func(c ischedule.Component) string { return c.Name }).Draw(t, "messages"),
			DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
			Attachments:      ischedule.Attachments{Inline: rapid.Bool().Draw(t, "inline"), External: rapid.Bool().Draw(t, "external")},
			RScales:          rapid.SliceOfN(word, 1, 3).Draw(t, "rscales"),
			MaxContentLength: rapid.Int64Min(0).Draw(t, "length"),
			MinDateTime:      instant.Draw(t, "min"),
			MaxDateTime:      instant.Draw(t, "max"),
			MaxInstances:     int(rapid.Int32Min(0).Draw(t, "instances")),
			MaxRecipients:    int(rapid.Int32Min(0).Draw(t, "recipients")),
			Administrator:    rapid.StringMatching(`(mailto:|https://)[!-~]{1,30}`).Draw(t, "administrator"),
		}
		got, err := ischedule.ReadCapabilities(c.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatal(diff)
		}
		got, err = ischedule.ReadCapabilities(c.MarshalDraft01())
		if err != nil {
			t.Fatal(err)
		}
		c.Serial, c.RScales = 0, nil // the old schema has no place for them
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// The old schema as DAViCal itself writes it, element by element.
//
// Proves: IS-SUB-1
func TestMarshalDraft01(t *testing.T) {
	recorded, err := os.ReadFile(filepath.Join("testdata", "davical-1.1.12-capabilities.xml"))
	if err != nil {
		t.Fatal(err)
	}
	tags := func(document []byte) []string {
		_, inner, _ := strings.Cut(string(document), "?>")
		return strings.Split(regexp.MustCompile(`>\s+`).ReplaceAllString(strings.TrimSpace(inner), ">"), "<")
	}
	if diff := cmp.Diff(tags(recorded), tags(draft01.MarshalDraft01())); diff != "" {
		t.Errorf("(-DAViCal +ours):\n%s", diff)
	}
}

func FuzzReadCapabilities(f *testing.F) {
	// Small seeds: the fuzzer spends its time on what it finds, not on cutting documents down.
	for _, inner := range []string{
		"<version>3</version><versions><version>1</version></versions>",
		`<scheduling-messages><component name="VEVENT"><method name="REQUEST"/></component><component name="VTODO"/></scheduling-messages>`,
		`<calendar-data-types><calendar-data-type/></calendar-data-types><attachments><inline/></attachments><rscales><rscale>X</rscale></rscales>`,
		"<min-date-time>19910101T000000Z</min-date-time><max-recipients/><max-instances>9</max-instances><administrator>a&amp;b</administrator>",
	} {
		f.Add([]byte(document(inner)))
	}
	f.Add([]byte(`<I:query-result xmlns:I="` + ischedule.Namespace + `"><I:capability-set><I:supported-version-set><I:version>1</I:version></I:supported-version-set></I:capability-set></I:query-result>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ischedule.ReadCapabilities(body)
		if err != nil {
			if c != nil || !errors.Is(err, ischedule.ErrDocument) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		if c.MaxContentLength < 0 || c.MaxInstances < 0 || c.MaxRecipients < 0 || strings.ContainsAny(c.Administrator, "\r\n\x00") {
			t.Fatalf("%+v", c)
		}
		// What was understood can be written, and reads the same ever after.
		first := c.Marshal()
		again, err := ischedule.ReadCapabilities(first)
		if err != nil {
			t.Fatalf("%v in %s", err, first)
		}
		if second := again.Marshal(); !bytes.Equal(first, second) {
			t.Fatal(cmp.Diff(string(first), string(second)))
		}
	})
}

func BenchmarkReadCapabilities(b *testing.B) {
	body, err := os.ReadFile("testdata/cyrus-3.6.1-capabilities.xml")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ischedule.ReadCapabilities(body); err != nil {
			b.Fatal(err)
		}
	}
}
