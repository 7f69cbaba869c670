package snapshot

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	maxPacked   = 1 << 20  // what a Secret holds
	maxUnpacked = 16 << 20 // of one part; policies of many peers repeat themselves and pack well
)

// ErrTooLarge means that a part of a snapshot does not fit into a Secret.
var ErrTooLarge = errors.New("part of the snapshot too large")

// Size is the share that v takes of a part of a snapshot, packed or unpacked, whichever is more: 1 fills it.
func Size(v any) float64 {
	plain, err := json.Marshal(v)
	if err != nil {
		return 0 // encoding it fails, too
	}
	var packed counter
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil || z.Close() != nil {
		return 0 // a counter takes everything
	}
	return max(float64(packed)/maxPacked, float64(len(plain))/maxUnpacked)
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// pack writes v as gzipped JSON. The header of the gzip holds no time and no name: equal values, equal bytes.
func pack(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(plain) > maxUnpacked {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(plain), maxUnpacked)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(plain)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	if out.Len() > maxPacked {
		return nil, fmt.Errorf("%w: %d bytes packed, at most %d", ErrTooLarge, out.Len(), maxPacked)
	}
	return out.Bytes(), nil
}

// unpack reads what pack wrote, and no more than maxUnpacked bytes out of it.
func unpack(b []byte, v any) error {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return err
	}
	if len(plain) > maxUnpacked {
		return fmt.Errorf("%w: more than %d bytes unpacked", ErrTooLarge, maxUnpacked)
	}
	return json.Unmarshal(plain, v)
}
