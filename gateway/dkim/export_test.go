package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
)

// Forge signs whatever tags say, as a signer that keeps to no rule would: {bh} stands for the body hash, and b=
// is put in place of {b}.
func Forge(key crypto.Signer, h http.Header, body []byte, tags string) (string, error) {
	sum := bodyHash(body)
	tags = strings.ReplaceAll(tags, "{bh}", base64.StdEncoding.EncodeToString(sum[:]))
	list, err := parseTagList(tags)
	if err != nil {
		return "", err
	}
	names, _ := list.get("h")
	digest, err := iSchedule.headerHash(h, strings.Split(names.value, ":"), strings.ReplaceAll(tags, "{b}", ""))
	if err != nil {
		return "", err
	}
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ok := key.(ed25519.PrivateKey); ok {
		opts = crypto.Hash(0)
	}
	value, err := key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(tags, "{b}", base64.StdEncoding.EncodeToString(value)), nil
}
