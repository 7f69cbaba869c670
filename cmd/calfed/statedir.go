package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// stateDir keeps what must survive a restart: the capability serial, which only grows (IS-CAP-2), the last snapshot that
// served, with its keys, and which invitations are watched for answers.
type stateDir string

// Without an extension: the folder may lie among the manifests.
const (
	capabilitiesFile = "capability-serial"
	snapshotFile     = "last-good-snapshot"
	answersFile      = "answers"
)

// openStateDir makes the folder when there is none, readable by its owner alone.
func openStateDir(dir string) (stateDir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("--data: %w", err)
	}
	return stateDir(dir), nil
}

// capabilities reads the state of the last compile; zero when there was none.
func (d stateDir) capabilities() (compile.CapabilityState, error) {
	var state compile.CapabilityState
	name := filepath.Join(string(d), capabilitiesFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, err
	}
	if err := json.Unmarshal(data, &state); err != nil {
		// starting over could make the serial go back, which peers would not notice as a change
		return state, fmt.Errorf("%s: %w (restore it, or delete it to start over from the clock)", name, err)
	}
	return state, nil
}

func (d stateDir) saveCapabilities(state compile.CapabilityState) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return snapshot.ReplaceFile(filepath.Join(string(d), capabilitiesFile), append(data, '\n'))
}

// lastGood reads the last snapshot that served; nil when there is none.
func (d stateDir) lastGood() (*snapshot.Snapshot, error) {
	s, err := snapshot.ReadFile(filepath.Join(string(d), snapshotFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

func (d stateDir) saveLastGood(s *snapshot.Snapshot) error {
	return snapshot.WriteFile(filepath.Join(string(d), snapshotFile), s)
}

// answers reads what saveAnswers kept; nil when there is nothing.
func (d stateDir) answers() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(d), answersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (d stateDir) saveAnswers(data []byte) error {
	return snapshot.ReplaceFile(filepath.Join(string(d), answersFile), data)
}
