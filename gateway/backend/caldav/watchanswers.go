package caldav

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Answer sends the REPLY of owner, one of the server's users, to the organizer of an invitation. An error that wraps ErrRefused is
// final; after any other the same is sent again later. The user's server and calendar are in no error.
type Answer func(ctx context.Context, owner, organizer cua.Address, reply []byte) error

// ErrRefused marks answers that nobody will ever take.
var ErrRefused = errors.New("refused for good")

// answers is a back end's part of a Watch. The zero value watches nothing.
type answers struct {
	watch  *Watch // nil = none
	server string // in the keys of the Watch

	mu      sync.Mutex
	stop    context.CancelFunc // nil = nobody polls
	stopped chan struct{}
}

// answersOf is for servers that send none. Two configurations are of one server when they agree in all but secrets and free/busy.
func answersOf(w *Watch, s *snapshot.CalDAV, p profile) answers {
	if w == nil || !p.silent {
		return answers{}
	}
	sum := sha256.Sum256([]byte(s.URL + "\x00" + string(s.Profile) + "\x00" + s.PrincipalTemplate + "\x00" + s.Username))
	return answers{watch: w, server: hex.EncodeToString(sum[:16])}
}

func (a *answers) hold(owner cua.Address, uid string) (release func()) {
	if a.watch == nil {
		return func() {}
	}
	return a.watch.hold(keyOf(a.server, owner, uid))
}

// noteAnswers watches what a message of an organizer, the only one that reaches anybody else, made of a user's object; nothing of it when there is nothing to answer any more.
func (b *Backend) noteAnswers(d *backend.Delivery, to cua.Address, at *url.URL, state []byte) {
	if b.answers.watch == nil || to.Equal(d.Message.Organizer) {
		return
	}
	w, key := b.answers.watch, keyOf(b.answers.server, to, d.Message.UID)
	read, err := itip.Summarize(state, to)
	if err != nil {
		return // it was read before it was stored
	}
	message, err := itip.Summarize(d.Body, to)
	if err != nil {
		return
	}
	known := knownAfter(w.knows(key), message, read)
	if known == nil {
		w.forget(key)
		return
	}
	now := b.now()
	core, err := coreOf(state, to, known, now)
	if err != nil {
		b.log.Warn("an invitation cannot be answered from the calendar", "message", d.MessageID, "cause", err)
		w.forget(key)
		return
	}
	path := at.EscapedPath()
	w.note(watched{
		key: key, calendar: folderOf(path), path: path, component: d.Message.Component,
		owner: to, organizer: d.Message.Organizer, known: known, core: core, until: endOf(read, now),
	})
}

// folderOf is the path of the calendar that an object is in.
func folderOf(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// coreOf is what the refusal is made of when the object is gone: an answer for every instance that has not been declined.
func coreOf(object []byte, owner cua.Address, known map[string]told, now time.Time) ([]byte, error) {
	all := map[string]string{}
	for id := range refusals(known) {
		all[id] = needsAction
	}
	core, err := itip.ReplyOf(object, owner, all, now)
	if len(core) > maxCore {
		core = nil
	}
	return core, err
}

// endOf is until when the user may answer.
func endOf(state []itip.Summary, now time.Time) time.Time {
	longest := now.Add(watchFor)
	var end time.Time
	for i := range state {
		if state[i].Recurs || state[i].End.IsZero() {
			return longest
		}
		if state[i].End.After(end) {
			end = state[i].End
		}
	}
	if end = end.Add(graceAfterEnd); end.After(longest) {
		return longest
	}
	return end
}
