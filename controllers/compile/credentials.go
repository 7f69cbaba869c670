package compile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

// The keys of a Secret with credentials: those of kubernetes.io/basic-auth, and the one of a bearer token.
const (
	keyUsername = corev1.BasicAuthUsernameKey
	keyPassword = corev1.BasicAuthPasswordKey
	keyToken    = "token"
)

// maxLogin bounds a user name or password.
const maxLogin = 1024

// login resolves a Secret with user name and password. at is the field with the Secret's name.
func (c *compiler) login(at spot, secret string) (username, password string, ok bool) {
	data, ok := c.values.secrets[object{c.namespace, secret}]
	if !ok {
		c.missing(at, string(v1alpha1.BundleSecret), secret, "create it, of type kubernetes.io/basic-auth, with "+keyUsername+" and "+keyPassword)
		return "", "", false
	}
	username, ok = loginText(at, secret, keyUsername, data)
	password, okPassword := loginText(at, secret, keyPassword, data)
	return username, password, ok && okPassword
}

// basicAuth is login for HTTP, where the user name ends at a colon (RFC 7617 §2).
func (c *compiler) basicAuth(at spot, secret string) (username, password string, ok bool) {
	username, password, ok = c.login(at, secret)
	if strings.Contains(username, ":") {
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q holds a colon: HTTP cannot carry such a user name", keyUsername, secret)
		return "", "", false
	}
	return username, password, ok
}

// loginText reads a user name or password, without the newline that files end in.
func loginText(at spot, secret, key string, data map[string][]byte) (string, bool) {
	value, ok := data[key]
	if !ok {
		at.error(v1alpha1.ReasonRefNotFound, "Secret %q has no key %q in its data: a Secret of type kubernetes.io/basic-auth holds %s and %s", secret, key, keyUsername, keyPassword)
		return "", false
	}
	value = bytes.TrimRight(value, "\r\n")
	switch {
	case len(value) == 0:
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is empty", key, secret)
	case len(value) > maxLogin || !utf8.Valid(value) || bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q must be one line of UTF-8 text, of %d octets at most", key, secret, maxLogin)
	default:
		return string(value), true
	}
	return "", false
}

// calDAVCredentials resolves a Secret with user name and password, or with a token.
func (c *compiler) calDAVCredentials(at spot, secret string) (username, password, token string) {
	data, exists := c.values.secrets[object{c.namespace, secret}]
	value, hasToken := data[keyToken]
	_, hasUsername := data[keyUsername]
	_, hasPassword := data[keyPassword]
	switch {
	case !exists:
		c.missing(at, string(v1alpha1.BundleSecret), secret, "create it, with "+keyUsername+" and "+keyPassword+", or with "+keyToken)
	case hasToken && (hasUsername || hasPassword):
		at.error(v1alpha1.ReasonInvalidValue, "Secret %q holds %s beside %s or %s: which of them shall be sent? Keep one", secret, keyToken, keyUsername, keyPassword)
	case hasToken:
		text, _ := visibleToken(at, secret, keyToken, value)
		return "", "", string(text)
	case !hasUsername && !hasPassword:
		at.error(v1alpha1.ReasonRefNotFound, "Secret %q holds no credentials: it needs %s and %s, or %s", secret, keyUsername, keyPassword, keyToken)
	default:
		username, password, _ = c.basicAuth(at, secret)
	}
	return username, password, ""
}

// visibleToken trims a bearer token and checks that a header field can carry it.
func visibleToken(at spot, secret, key string, value []byte) ([]byte, bool) {
	value = bytes.TrimSpace(value) // files end in newlines, and so do Secrets made from them
	switch {
	case len(value) == 0:
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is empty", key, secret)
	case bytes.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is no token: it may hold visible ASCII characters only", key, secret)
	default:
		return value, true
	}
	return nil, false
}
