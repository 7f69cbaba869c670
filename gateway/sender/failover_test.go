package sender_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
)

// TestNextTarget: the preferred server of a domain goes away after its capabilities were read. The message that cannot be
// handed to it goes to the next one, in the same submission; where there is no other, the recipient gets 5.1.
//
// Proves: IS-DISC-2, IS-SEND-6
func TestNextTarget(t *testing.T) {
	document := ischedule.Capabilities{
		Serial: 1, Versions: []string{ischedule.Version}, Messages: []ischedule.Component{{Name: "VEVENT"}},
		DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
	}
	const to = "mailto:rose@red.example"
	answer := (&ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: to, Status: ischedule.StatusDelivered}}}).Marshal()
	var peers []*peer
	var zone string
	for i, host := range []string{"one.red.example", "two.red.example"} {
		p := newPeer(t, host)
		p.configure(t, "capabilities.xml", string(document.Marshal()))
		p.configure(t, "answer", "HTTP/1.1 200 OK\nContent-Type: application/xml\n\n"+string(answer))
		zone += fmt.Sprintf("_ischedules._tcp.red.example. 60 IN SRV %d 0 %s %s.\n%s. 60 IN A 127.0.0.1\n", i, p.port(), host, host)
		peers = append(peers, p)
	}
	s, a := realSender(t, zone, nil)
	for _, step := range []struct {
		name  string
		lose  *peer
		want  string
		posts [2]int // seen by each server so far
	}{
		{"both are there", nil, "2.0", [2]int{1, 0}},
		{"the preferred one is gone", peers[0], "2.0", [2]int{1, 1}},
		{"both are gone", peers[1], "5.1", [2]int{1, 1}},
	} {
		if step.lose != nil {
			step.lose.server.Close()
		}
		response, refusal := s.Send(t.Context(), submission(t, a, invitation([]string{to}), to))
		if refusal != nil {
			t.Fatal(refusal)
		}
		if diff := cmp.Diff(map[string]string{to: step.want}, statuses(response)); diff != "" {
			t.Errorf("%s: statuses (-want +got):\n%s", step.name, diff)
		}
		for i, p := range peers {
			p.mu.Lock()
			if len(p.got) != step.posts[i] {
				t.Errorf("%s: server %d got %d messages, want %d", step.name, i+1, len(p.got), step.posts[i])
			}
			p.mu.Unlock()
		}
	}
}
