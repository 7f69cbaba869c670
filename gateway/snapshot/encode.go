package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrFormat means that a snapshot was written by a version too far from this one.
var ErrFormat = errors.New("snapshot format not supported")

// Encode writes s as JSON in FormatVersion. Equal snapshots encode to equal bytes. The result holds private keys and
// other secrets.
func Encode(s *Snapshot) ([]byte, error) {
	out := *s
	out.Format = FormatVersion
	b, err := json.Marshal(&out)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return b, nil
}

// Decode reads what Encode of this version, the one before or the one after wrote: the format only ever gains fields,
// unknown ones are passed over. Other formats are ErrFormat. The result is not validated: that is Activate's.
func Decode(b []byte) (*Snapshot, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	if err := checkFormat(head.Format); err != nil {
		return nil, err
	}
	s := new(Snapshot)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	return s, nil
}

func checkFormat(format int) error {
	if format < max(FormatVersion-1, 1) || format > FormatVersion+1 {
		return fmt.Errorf("%w: %d, this version reads %d to %d", ErrFormat, format, max(FormatVersion-1, 1), FormatVersion+1)
	}
	return nil
}
