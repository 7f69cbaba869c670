package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// maxRequestFile bounds a request file: no receiver takes more.
const maxRequestFile = 32 << 20

// requestFile is a raw HTTP/1.1 request as it stands in a file: what a recorder saw on the wire.
type requestFile struct {
	Header http.Header // as net/http reads it: folded lines joined, order of repeated fields kept
	Body   []byte      // transfer-decoded
	Notes  []string    // what is odd about the file without making it unreadable

	raw       []byte
	headerEnd int    // offset of the empty line that ends the header
	newline   string // of the header lines
}

// readRequestFile reads the request in the named file, "-" for stdin.
func readRequestFile(name string, stdin io.Reader) (*requestFile, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxRequestFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(raw) > maxRequestFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxRequestFile)
	}
	req, err := parseRequestFile(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: not an HTTP/1.1 request: %w", name, err)
	}
	return req, nil
}

// parseRequestFile reads a request the way the public listener does, with two concessions to files: header lines
// may end in LF alone, and without (or against) Content-Length the body is the rest of the file. A body that was
// cut or extended after recording must fail by its hash, not by its framing.
func parseRequestFile(raw []byte) (*requestFile, error) {
	raw = bytes.TrimLeft(raw, "\r\n")
	end, newline := headerEnd(raw)
	if end < 0 {
		return nil, errors.New("no empty line ends the header")
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	if req.Method != http.MethodPost {
		return nil, fmt.Errorf("a %s carries no scheduling message, only a POST does", req.Method)
	}
	f := &requestFile{Header: req.Header, raw: raw, headerEnd: end, newline: newline}
	rest := raw[end+len(newline):]
	switch {
	case len(req.TransferEncoding) > 0:
		f.Body, err = io.ReadAll(req.Body)
		switch {
		case err != nil && len(f.Body) > 0:
			return nil, fmt.Errorf("%v body: %w", req.TransferEncoding, err)
		case err != nil: // recorders write down what they have decoded
			f.Notes = append(f.Notes, "Transfer-Encoding says chunked, the file holds no chunks")
			f.Body = rest
		}
	case req.Header.Get("Content-Length") == "":
		f.Body = rest
	default:
		f.Body = f.sized(rest, req.ContentLength)
	}
	return f, nil
}

// sized is the body of a request with a Content-Length.
func (f *requestFile) sized(rest []byte, length int64) []byte {
	have := int64(len(rest))
	if have == length {
		return rest
	}
	f.Notes = append(f.Notes, fmt.Sprintf("Content-Length says %d bytes, the file holds %d", length, have))
	if have > length && len(bytes.Trim(rest[length:], "\r\n")) == 0 {
		return rest[:length] // an editor's or recorder's line end
	}
	return rest
}

// headerEnd finds the empty line after the header, and how lines end there.
func headerEnd(raw []byte) (offset int, newline string) {
	for at := 0; at < len(raw); {
		n := bytes.IndexByte(raw[at:], '\n')
		switch {
		case n < 0:
			return -1, ""
		case n == 0:
			return at, "\n"
		case n == 1 && raw[at] == '\r':
			return at, "\r\n"
		}
		at += n + 1
	}
	return -1, ""
}

// writeWith writes the request with one more header field, every other byte as it was.
func (f *requestFile) writeWith(w io.Writer, name, value string) error {
	var out bytes.Buffer
	out.Write(f.raw[:f.headerEnd])
	out.WriteString(name + ": " + value + f.newline)
	out.Write(f.raw[f.headerEnd:])
	_, err := w.Write(out.Bytes())
	return err
}
