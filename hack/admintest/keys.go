package admintest

import (
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

// Key is a new private key, in PEM, and the TXT record that publishes its public half. Algorithms are those of calfed dkim keygen.
func Key(t testing.TB, algorithm string) (private, record string) {
	t.Helper()
	key, err := dkim.GenerateKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	text, err := dkim.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = dkim.FormatRecord(key.Public(), false); err != nil {
		t.Fatal(err)
	}
	return string(text), record
}
