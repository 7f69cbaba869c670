package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/ischedule"
)

type capabilities = ischedule.Capabilities

// CapabilityState is what must survive a restart so that the serial only grows (IS-CAP-2).
type CapabilityState struct {
	Serial uint64 `json:"serial"`
	Digest string `json:"digest"` // of the effective document without its serial
}

// nextState keeps the serial while the effective document stays as it is, and adds one when it changed. The first
// serial is the Unix time, so that a gateway whose state was lost goes on above its former serials. IS-CAP-2.
func nextState(effective capabilities, prior CapabilityState, now time.Time) CapabilityState {
	effective.Serial = 0
	text, err := json.Marshal(effective)
	if err != nil {
		panic("capabilities do not marshal: " + err.Error()) // strings, numbers and times of four-digit years always do
	}
	sum := sha256.Sum256(text)
	next := CapabilityState{Serial: prior.Serial, Digest: hex.EncodeToString(sum[:])}
	switch {
	case prior.Serial == 0:
		next.Serial = uint64(max(now.Unix(), 1))
	case prior.Digest != next.Digest:
		next.Serial++
	}
	return next
}

// Components and methods in the order of RFC 5546. PUBLISH is never accepted (IS-CAP-4).
var (
	components = []string{"VEVENT", "VTODO", "VFREEBUSY"}
	methods    = []string{"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}
)

// methodsOf are the methods that come with a component. The answer to a VFREEBUSY REQUEST is no message of its own.
func methodsOf(component string) []string {
	if component == string(v1alpha1.ComponentFreeBusy) {
		return []string{"REQUEST"}
	}
	return slices.Clone(methods)
}

// Effective limits where the gateway sets none. IS-CAP-4: all are advertised, all are enforced.
const (
	defaultMaxContentLength = 1 << 20
	defaultMaxInstances     = 1000
	defaultMaxRecipients    = 100
)

// effective is the capabilities document with its defaults filled in, save the serial.
func (c *compiler) effective(at spot, spec *v1alpha1.Capabilities, host string) capabilities {
	out := capabilities{
		Versions:         []string{ischedule.Version},
		DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
		Attachments:      ischedule.Attachments{External: true},
		RScales:          []string{"GREGORIAN"},
		MaxContentLength: defaultMaxContentLength,
		MinDateTime:      time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
		MaxDateTime:      time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		MaxInstances:     defaultMaxInstances,
		MaxRecipients:    defaultMaxRecipients,
		Administrator:    "mailto:postmaster@" + host, // a name that stays as domains come and go
	}
	if spec == nil {
		spec = &v1alpha1.Capabilities{}
	}
	out.Messages = advertised(spec.Messages)
	if spec.Attachments != nil {
		out.Attachments = ischedule.Attachments{
			Inline:   slices.Contains(spec.Attachments, v1alpha1.AttachmentInline),
			External: slices.Contains(spec.Attachments, v1alpha1.AttachmentExternal),
		}
	}
	if spec.MaxContentLength != nil {
		out.MaxContentLength = *spec.MaxContentLength
	}
	if spec.MinDateTime != nil {
		out.MinDateTime = spec.MinDateTime.UTC()
	}
	if spec.MaxDateTime != nil {
		out.MaxDateTime = spec.MaxDateTime.UTC()
	}
	if !out.MinDateTime.Before(out.MaxDateTime) {
		at.error(v1alpha1.ReasonInvalidValue, "minDateTime (%s) must lie before maxDateTime (%s)", out.MinDateTime.Format(time.RFC3339), out.MaxDateTime.Format(time.RFC3339))
	}
	if spec.MaxInstances != nil {
		out.MaxInstances = int(*spec.MaxInstances)
	}
	if spec.MaxRecipients != nil {
		out.MaxRecipients = int(*spec.MaxRecipients)
	}
	if spec.Administrator != "" {
		out.Administrator = spec.Administrator
	}
	return out
}

// advertised spells out every method: a component without methods would advertise PUBLISH too.
func advertised(spec []v1alpha1.Messages) []ischedule.Component {
	var out []ischedule.Component
	for _, name := range components {
		i := slices.IndexFunc(spec, func(m v1alpha1.Messages) bool { return string(m.Component) == name })
		if i < 0 && len(spec) > 0 {
			continue
		}
		taken := methodsOf(name)
		if i >= 0 && len(spec[i].Methods) > 0 {
			taken = slices.DeleteFunc(taken, func(m string) bool { return !slices.Contains(spec[i].Methods, v1alpha1.Method(m)) })
		}
		if len(taken) > 0 {
			out = append(out, ischedule.Component{Name: name, Methods: taken})
		}
	}
	return out
}
