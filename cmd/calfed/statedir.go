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

// stateDir keeps what must survive a restart: the capability serial, which only grows (IS-CAP-2), and the last
// snapshot that served, with its keys.
type stateDir string

// Without an extension: the folder may lie among the manifests.
const (
	capabilitiesFile = "capability-serial"
	snapshotFile     = "last-good-snapshot"
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
	return d.write(capabilitiesFile, append(data, '\n'))
}

// lastGood reads the last snapshot that served; nil when there is none.
func (d stateDir) lastGood() (*snapshot.Snapshot, error) {
	name := filepath.Join(string(d), snapshotFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := snapshot.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (d stateDir) saveLastGood(s *snapshot.Snapshot) error {
	data, err := snapshot.Encode(s)
	if err != nil {
		return err
	}
	return d.write(snapshotFile, data)
}

// write replaces a file so that a crash leaves the old or the new one, whole.
func (d stateDir) write(name string, data []byte) error {
	tmp, err := os.CreateTemp(string(d), name+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(string(d), name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	folder, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
