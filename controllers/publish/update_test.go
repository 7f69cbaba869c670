package publish_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/publish/primarytest"
	"github.com/calfed/calfed/controllers/records"
)

const (
	keyName = "calfed"
	secret  = "c2VjcmV0IG9mIHRoZSBuYW1lIHNlcnZlciBhbG9uZSE="
	another = "YW5vdGhlciBzZWNyZXQgdGhhdCBub2JvZHkga25vd3M="
	zone    = `
example.org. IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 60
example.org. IN NS ns1.example.org.
`
)

var (
	service = records.Record{Name: "_ischedules._tcp.example.org.", Type: "SRV", TTL: 3600, SRV: &records.SRV{Port: 443, Target: "gw.example.org."}}
	moved   = records.Record{Name: "_ischedules._tcp.example.org.", Type: "SRV", TTL: 3600, SRV: &records.SRV{Port: 443, Target: "gw2.example.org."}}
	key     = records.Record{Name: "cal1._domainkey.example.org.", Type: "TXT", TTL: 3600, Text: []string{"v=DKIM1; k=rsa; p=" + strings.Repeat("A", 200), strings.Repeat("B", 100)}}
	want    = []records.Record{service, key}
)

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

func primary(t *testing.T) *primarytest.Server {
	return primarytest.New(t, primarytest.Options{Zones: zone, Keys: map[string]string{keyName: secret}})
}

func updater(s *primarytest.Server) *publish.Update {
	return &publish.Update{
		Settings: v1alpha1.RFC2136{Server: s.Addr(), TSIG: v1alpha1.TSIG{KeyName: keyName}},
		Secret:   []byte(secret + "\n"),
		Dial:     dial,
	}
}

// publishAll does what the reconciler does: it claims, and then publishes.
func publishAll(t *testing.T, p publish.Publisher, want []records.Record, ours []v1alpha1.PublishedRecord) publish.Outcome {
	t.Helper()
	out, err := p.Publish(context.Background(), want, publish.Claims(want, ours))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUpdateWritesReplacesAndTakesBack(t *testing.T) {
	t.Parallel()
	s := primary(t)
	u := updater(s)
	first := publishAll(t, u, want, nil)
	if !publish.Done(want, first.Ours) || len(first.Foreign) > 0 {
		t.Fatalf("%+v", first)
	}
	if diff := cmp.Diff([]string{"_ischedules._tcp.example.org. SRV", "cal1._domainkey.example.org. TXT"}, s.Names()); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]string{"0 0 443 gw.example.org."}, s.Records(service.Name, "SRV")); diff != "" {
		t.Error(diff)
	}
	if got := s.Records(key.Name, "TXT"); len(got) != 1 || got[0] != `"`+key.Text[0]+`" "`+key.Text[1]+`"` {
		t.Error(got)
	}

	publishAll(t, u, want, first.Ours)
	if s.Updates() != 1 {
		t.Errorf("%d updates where nothing changed", s.Updates())
	}

	second := publishAll(t, u, []records.Record{moved}, first.Ours)
	if diff := cmp.Diff([]string{"_ischedules._tcp.example.org. SRV"}, s.Names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"0 0 443 gw2.example.org."}, s.Records(service.Name, "SRV")); diff != "" {
		t.Error(diff)
	}
	if last := publishAll(t, u, nil, second.Ours); len(last.Ours) > 0 || len(s.Names()) > 0 {
		t.Errorf("left: %v, %v", last.Ours, s.Names())
	}
}

func TestUpdateOverwritesNothingOfOthers(t *testing.T) {
	t.Parallel()
	theirs := service.Name + " IN SRV 0 0 443 other.example.\n"
	for name, tc := range map[string]struct {
		before  string // in the zone
		ours    func() []v1alpha1.PublishedRecord
		after   string // in the zone once it is there
		instead bool   // and ours is not
		want    []records.Record
		foreign []publish.Foreign
		srv     []string // at the end
		held    int      // how many sets are ours at the end
	}{
		"another record at a name that was never ours stays": {
			before: theirs, want: []records.Record{service},
			foreign: []publish.Foreign{{Name: service.Name, Type: "SRV", Seen: "0 0 443 other.example."}},
			srv:     []string{"0 0 443 other.example."},
		},
		"a record that is as it should be is taken over": {
			before: service.Name + " IN SRV 0 0 443 GW.example.org.\n", want: []records.Record{service},
			srv: []string{"0 0 443 GW.example.org."}, held: 1,
		},
		"a record of ours that somebody changed is repaired": {
			ours: claims(service), after: theirs, want: []records.Record{service},
			srv: []string{"0 0 443 gw.example.org."}, held: 1,
		},
		"a record beside ours goes": {
			ours: claims(service), after: service.Name + " IN SRV 0 0 443 gw.example.org.\n" + theirs, want: []records.Record{service},
			srv: []string{"0 0 443 gw.example.org."}, held: 1,
		},
		"what somebody else put in the place of ours is not taken back": {
			ours: claims(service), after: theirs, want: nil,
			srv: []string{"0 0 443 other.example."},
		},
		"an alias in the place of ours stays": {
			ours: claims(service), after: service.Name + " IN CNAME elsewhere.example.\n", instead: true, want: []records.Record{service},
			foreign: []publish.Foreign{{Name: service.Name, Type: "CNAME", Seen: "elsewhere.example."}},
		},
		"an alias in the place of a record stays": {
			before: service.Name + " IN CNAME elsewhere.example.\n", want: []records.Record{service},
			foreign: []publish.Foreign{{Name: service.Name, Type: "CNAME", Seen: "elsewhere.example."}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := primary(t)
			s.Set(t, tc.before)
			u := updater(s)
			var ours []v1alpha1.PublishedRecord
			if tc.ours != nil {
				ours = publishAll(t, u, []records.Record{service}, nil).Ours
			}
			if tc.instead {
				s.Remove(service.Name, "SRV")
			}
			s.Set(t, tc.after)
			out := publishAll(t, u, tc.want, ours)
			if diff := cmp.Diff(tc.foreign, out.Foreign); diff != "" {
				t.Errorf("foreign (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.srv, s.Records(service.Name, "SRV")); diff != "" {
				t.Errorf("in the zone (-want +got):\n%s", diff)
			}
			written := slices.DeleteFunc(slices.Clone(out.Ours), func(r v1alpha1.PublishedRecord) bool { return r.Written == "" })
			if tc.instead && len(s.Records(service.Name, "CNAME")) != 1 {
				t.Error("the alias is gone")
			}
			if len(written) != tc.held {
				t.Errorf("ours: %+v", out.Ours)
			}
		})
	}
}

// What changes between reading and writing is seen by the server, and nothing is overwritten.
func TestAnUpdateRestsOnWhatWasRead(t *testing.T) {
	t.Parallel()
	theirs := service.Name + " IN SRV 0 0 443 other.example.\n"
	s := primary(t)
	u := updater(s)
	s.BeforeUpdate(func() { s.Set(t, theirs) })
	if out := publishAll(t, u, []records.Record{service}, nil); len(out.Foreign) != 1 {
		t.Errorf("somebody was quicker: %+v", out)
	}
	s.Remove(service.Name, "SRV")
	ours := publishAll(t, u, []records.Record{service}, nil).Ours
	s.BeforeUpdate(func() { s.Set(t, theirs) })
	if out := publishAll(t, u, nil, ours); len(out.Ours) > 0 {
		t.Errorf("%+v", out)
	}
	if diff := cmp.Diff([]string{"0 0 443 other.example."}, s.Records(service.Name, "SRV")); diff != "" {
		t.Error(diff)
	}
	// a change of one that we wrote is repaired, whenever it comes
	s.Remove(service.Name, "SRV")
	ours = publishAll(t, u, []records.Record{service}, nil).Ours
	s.BeforeUpdate(func() { s.Set(t, theirs) })
	publishAll(t, u, []records.Record{moved}, ours)
	if diff := cmp.Diff([]string{"0 0 443 gw2.example.org."}, s.Records(service.Name, "SRV")); diff != "" {
		t.Error(diff)
	}
}

// What was merely about to be written, and may be ours, is replaced only as long as it is that.
func TestWhatMayBeOursIsReplacedWithCare(t *testing.T) {
	t.Parallel()
	s := primary(t)
	u := updater(s)
	claimed := publish.Claims([]records.Record{service}, nil)
	s.Set(t, records.BIND([]records.Record{service})) // written, and nobody noted it
	s.BeforeUpdate(func() { s.Set(t, service.Name+" IN SRV 0 0 443 other.example.") })
	out, err := u.Publish(context.Background(), []records.Record{moved}, claimed)
	if err != nil || len(out.Foreign) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	s.Set(t, records.BIND([]records.Record{service}))
	if out, err := u.Publish(context.Background(), []records.Record{moved}, claimed); err != nil || !publish.Done([]records.Record{moved}, out.Ours) {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAServerThatAnswersSignedQuestionsOnlyIsAskedSo(t *testing.T) {
	t.Parallel()
	s := primary(t)
	s.SetShut(true)
	publishAll(t, updater(s), want, nil)
	if len(s.Names()) != 2 {
		t.Error(s.Names())
	}
}

func TestATimeToLiveIsOursToChange(t *testing.T) {
	t.Parallel()
	s := primary(t)
	short := service
	short.TTL = 60
	ours := publishAll(t, updater(s), []records.Record{service}, nil).Ours
	if out := publishAll(t, updater(s), []records.Record{short}, ours); !out.Changed {
		t.Error("left as it was")
	}
}

func claims(list ...records.Record) func() []v1alpha1.PublishedRecord {
	return func() []v1alpha1.PublishedRecord { return publish.Claims(list, nil) }
}

// Who dies between the write and the note of it finds the record again, because the claim was noted before.
func TestWhatWasOnlyIntendedIsTakenBack(t *testing.T) {
	t.Parallel()
	s := primary(t)
	u := updater(s)
	noted := publishAll(t, u, []records.Record{service}, nil).Ours
	claimed := publish.Claims([]records.Record{moved, key}, noted)
	if _, err := u.Publish(context.Background(), []records.Record{moved, key}, claimed); err != nil {
		t.Fatal(err)
	}
	if out := publishAll(t, u, nil, claimed); len(out.Ours) > 0 || len(s.Names()) > 0 {
		t.Errorf("left: %v, %v", out.Ours, s.Names())
	}
}

func TestUpdateFindsTheZoneOfEachName(t *testing.T) {
	t.Parallel()
	s := primarytest.New(t, primarytest.Options{Keys: map[string]string{keyName: secret}, Zones: zone + `
team.example.org. IN SOA ns1.example.org. admin.example.org. 1 7200 900 86400 60
`})
	teams := service
	teams.Name = "_ischedules._tcp.team.example.org."
	u := updater(s)
	publishAll(t, u, []records.Record{teams, key}, nil)
	if diff := cmp.Diff([]string{teams.Name + " SRV", key.Name + " TXT"}, s.Names()); diff != "" {
		t.Error(diff)
	}
	u.Settings.Zone = "team.example.org"
	if out := publishAll(t, u, []records.Record{teams, key}, nil); !cmp.Equal(out.Outside, []string{"cal1._domainkey.example.org"}) || len(out.Ours) != 2 || publish.Done([]records.Record{teams, key}, out.Ours) {
		t.Errorf("%+v", out)
	}
}

func TestManySetsGoInSeveralUpdates(t *testing.T) {
	t.Parallel()
	s := primary(t)
	var many []records.Record
	for i := range 70 {
		r := key
		r.Name = strings.Replace(key.Name, "cal1", "cal"+string(rune('a'+i/26))+string(rune('a'+i%26)), 1)
		many = append(many, r)
	}
	out := publishAll(t, updater(s), many, nil)
	if len(s.Names()) != 70 || s.Updates() != 3 || !publish.Done(many, out.Ours) {
		t.Errorf("%d names by %d updates", len(s.Names()), s.Updates())
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*primarytest.Server, *publish.Update)
		want   []string
	}{
		"an unknown key":      {func(_ *primarytest.Server, u *publish.Update) { u.Settings.TSIG.KeyName = "other" }, []string{"BADKEY", "keyName"}},
		"another secret":      {func(_ *primarytest.Server, u *publish.Update) { u.Secret = []byte(another) }, []string{"BADSIG", "Secret"}},
		"clocks apart":        {func(s *primarytest.Server, _ *publish.Update) { s.SetSkew(time.Hour) }, []string{"BADTIME", "NTP"}},
		"no base64":           {func(_ *primarytest.Server, u *publish.Update) { u.Secret = []byte("hush!") }, []string{"base64"}},
		"an empty secret":     {func(_ *primarytest.Server, u *publish.Update) { u.Secret = nil }, []string{"base64"}},
		"refused":             {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeRefused) }, []string{"REFUSED", "allow it there"}},
		"not the primary":     {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeNotAuth) }, []string{"NOTAUTH", "primary"}},
		"not the zone":        {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeNotZone) }, []string{"NOTZONE", "zone"}},
		"no updates":          {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeNotImplemented) }, []string{"NOTIMP", "RFC 2136"}},
		"a server in trouble": {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeServerFailure) }, []string{"SERVFAIL", "log"}},
		"nobody there":        {func(s *primarytest.Server, _ *publish.Update) { s.Stop() }, []string{"refuses connections", "spec.publish.rfc2136.server"}},
		"a zone it has not":   {func(_ *primarytest.Server, u *publish.Update) { u.Settings.Zone = "org" }, []string{"NOTAUTH", "primary"}},
		"the zone changes all the time": {func(s *primarytest.Server, _ *publish.Update) { s.Deny(dns.RcodeYXRrset) },
			[]string{"all the time"}},
		"an unknown name": {func(_ *primarytest.Server, u *publish.Update) {
			u.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Name: "ns.example", IsNotFound: true}
			}
		}, []string{"has no address"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := primary(t)
			u := updater(s)
			tc.change(s, u)
			var messages [2]string
			for i := range messages { // twice: the message of a condition must not differ from one time to the next
				_, err := u.Publish(context.Background(), want, publish.Claims(want, nil))
				var failure *publish.Error
				if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonPublishFailed {
					t.Fatalf("%v", err)
				}
				messages[i] = failure.Message
			}
			if messages[0] != messages[1] {
				t.Errorf("%q, then %q", messages[0], messages[1])
			}
			for _, part := range tc.want {
				if !strings.Contains(messages[0], part) {
					t.Errorf("%q lacks %q", messages[0], part)
				}
			}
			if strings.Contains(messages[0], secret[:8]) || strings.Contains(messages[0], "hush") {
				t.Errorf("the secret is told: %q", messages[0])
			}
			if len(s.Names()) > 0 {
				t.Errorf("written: %v", s.Names())
			}
		})
	}
}

func TestADeafServerIsGivenUp(t *testing.T) {
	t.Parallel()
	s := primary(t)
	s.SetDeaf(true)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := updater(s).Publish(ctx, want, nil); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
}

// An answer that nobody signed, or somebody else, says nothing: who stands between could have made it.
func TestAnAnswerMustBeSigned(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sign func(*dns.Msg, *dns.TSIG)
		want string
	}{
		"by nobody":       {func(*dns.Msg, *dns.TSIG) {}, "does not sign"},
		"by another hand": {func(m *dns.Msg, t *dns.TSIG) { m.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix()) }, "is not signed with the TSIG key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := primary(t)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			liar := &dns.Server{Listener: ln, TsigSecret: map[string]string{keyName + ".": another}, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
				Handler: dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
					if req.Opcode == dns.OpcodeUpdate {
						answer := new(dns.Msg).SetReply(req)
						tc.sign(answer, req.IsTsig())
						_ = w.WriteMsg(answer)
						return
					}
					if answer, err := dns.Exchange(req, s.Addr()); err == nil {
						_ = w.WriteMsg(answer)
					}
				})}
			done := make(chan struct{})
			go func() { defer close(done); _ = liar.ActivateAndServe() }()
			t.Cleanup(func() { _ = liar.Shutdown(); <-done })
			u := updater(s)
			u.Settings.Server = ln.Addr().String()
			if _, err := u.Publish(context.Background(), want, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
