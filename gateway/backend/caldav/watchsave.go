package caldav

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// savedWatch is a Watch as it outlives the process: no secrets, but who is invited to what.
type savedWatch struct {
	Version int          `json:"version"`
	Objects []savedEntry `json:"objects"`
}

type savedEntry struct {
	Server    string          `json:"server"`
	Path      string          `json:"path"`
	UID       string          `json:"uid"`
	Component string          `json:"component"`
	Owner     string          `json:"owner"`
	Organizer string          `json:"organizer"`
	Known     map[string]told `json:"known"`
	Core      string          `json:"core,omitempty"`
	Until     time.Time       `json:"until"`
	Lively    time.Time       `json:"lively"`
}

const savedVersion = 1

// Save has write keep the Watch for Load, when it has changed since the last time. Its error is write's.
func (w *Watch) Save(write func([]byte) error) error {
	data, err := w.saved()
	if data == nil || err != nil {
		return err
	}
	if err := write(data); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unsaved = true
		return err
	}
	return nil
}

func (w *Watch) saved() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.unsaved {
		return nil, nil
	}
	w.unsaved = false
	out := savedWatch{Version: savedVersion, Objects: []savedEntry{}}
	for _, e := range w.entries {
		out.Objects = append(out.Objects, savedEntry{
			e.key.server, e.path, e.key.uid, e.component, e.owner.URI(), e.organizer.URI(), e.known, string(e.core), e.until, e.lively,
		})
	}
	slices.SortFunc(out.Objects, func(a, b savedEntry) int {
		return strings.Compare(a.Server+"\x00"+a.Path, b.Server+"\x00"+b.Path)
	})
	return json.Marshal(out)
}

// Load adds what Save kept; everything is looked at again. Entries that cannot be are left out. The error is about data that is none of Save's.
func (w *Watch) Load(data []byte) error {
	var in savedWatch
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&in); err != nil {
		return fmt.Errorf("watched answers: %w", err)
	}
	if in.Version != savedVersion {
		return errors.New("watched answers: written by another version")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	left := 0
	for i := range in.Objects {
		if e := in.Objects[i].entry(now); e != nil {
			w.put(e)
		} else {
			left++
		}
	}
	w.unsaved = left > 0
	return nil
}

// entry is nil for what nothing can be done with.
func (s *savedEntry) entry(now time.Time) *watched {
	owner, err := cua.Parse(s.Owner)
	if err != nil {
		return nil
	}
	organizer, err := cua.Parse(s.Organizer)
	if err != nil {
		return nil
	}
	if !strings.HasPrefix(s.Path, "/") || len(s.Path) > maxHref || len(s.Known) > maxAnswers || len(s.Core) > maxCore ||
		!now.Before(s.Until) || s.Until.After(now.Add(watchFor)) {
		return nil
	}
	e := &watched{
		key: keyOf(s.Server, owner, s.UID), calendar: folderOf(s.Path), path: s.Path, component: s.Component, owner: owner, organizer: organizer,
		known: s.Known, until: s.Until, lively: s.Lively,
	}
	if s.Core != "" {
		e.core = []byte(s.Core)
	}
	return e
}
