package compile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"unicode/utf8"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The lengths below which a token and a password can be guessed.
const (
	minTokenBytes         = 16
	minPasswordCharacters = 12
)

// submitters compiles who may send for a domain; one that is wrong is left out. IS-SUB-1.
func (c *compiler) submitters(list spot, submitters []v1alpha1.Submitter) []snapshot.Submitter {
	var out []snapshot.Submitter
	for i := range submitters {
		at := list.index(i).isolated()
		compiled := c.submitter(at, &submitters[i])
		if at.failed() {
			continue
		}
		same := slices.IndexFunc(out, func(o snapshot.Submitter) bool { return o.Name == compiled.Name || sameProof(&o, &compiled) })
		if same >= 0 {
			at.to("name").error(v1alpha1.ReasonConflict, "submitter %q has the same name, token, password or key: give each its own", out[same].Name)
			continue
		}
		if first := sameUser(out, compiled.Basic); first != "" {
			at.to("basicRef").to("name").error(v1alpha1.ReasonConflict, "the user name in Secret %q is that of submitter %q, with another password: choose another user name", submitters[i].BasicRef.Name, first)
			continue
		}
		out = append(out, compiled)
	}
	slices.SortFunc(out, func(a, b snapshot.Submitter) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (c *compiler) submitter(at spot, s *v1alpha1.Submitter) snapshot.Submitter {
	out := snapshot.Submitter{Name: s.Name}
	ways := 0
	for _, set := range []bool{s.TokenRef != nil, s.ClientCertificate != nil, s.BasicRef != nil, s.PinnedKey != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways != 1:
		at.error(v1alpha1.ReasonInvalidValue, "a submitter needs exactly one of tokenRef, clientCertificate, basicRef and pinnedKey")
	case s.TokenRef != nil:
		out.TokenSHA256 = c.token(at.to("tokenRef"), *s.TokenRef)
	case s.ClientCertificate != nil:
		out.Certificate = c.clientCertificate(at.to("clientCertificate"), s.ClientCertificate)
	case s.BasicRef != nil:
		out.Basic = c.basic(at.to("basicRef").to("name"), s.BasicRef.Name)
	default:
		key := pinnedKey(at.to("pinnedKey"), s.PinnedKey, minRSABits, "is demanded of submitters")
		out.PinnedKey = &key
	}
	return out
}

// sameProof says whether two submitters of one domain cannot be told apart.
func sameProof(a, b *snapshot.Submitter) bool {
	switch {
	case a.Basic != nil && b.Basic != nil:
		return a.Basic.Username == b.Basic.Username && bytes.Equal(a.Basic.PasswordSHA256, b.Basic.PasswordSHA256)
	case a.PinnedKey != nil && b.PinnedKey != nil:
		return *a.PinnedKey == *b.PinnedKey
	}
	return len(a.TokenSHA256) > 0 && bytes.Equal(a.TokenSHA256, b.TokenSHA256)
}

// sameUser is the submitter that has the user name already, "" = nobody: a log that names the user, and a person who reads it, must
// not have to guess which. Other domains may have it with another password: whoever logs in acts for the domain whose password
// it is, and no tenant can take a name from another.
func sameUser(others []snapshot.Submitter, b *snapshot.Basic) string {
	i := slices.IndexFunc(others, func(o snapshot.Submitter) bool { return b != nil && o.Basic != nil && o.Basic.Username == b.Username })
	if i < 0 {
		return ""
	}
	return others[i].Name
}

// basic resolves the user name and password that a submitter presents; the password itself goes no further.
func (c *compiler) basic(at spot, secret string) *snapshot.Basic {
	username, password, ok := c.basicAuth(at, secret)
	if !ok {
		return nil
	}
	if utf8.RuneCountInString(password) < minPasswordCharacters {
		at.warn(v1alpha1.ReasonWeak, "the password in Secret %q is shorter than %d characters: make a longer one at random", secret, minPasswordCharacters)
	}
	sum := sha256.Sum256([]byte(password))
	return &snapshot.Basic{Username: username, PasswordSHA256: sum[:]}
}

func (c *compiler) token(at spot, ref v1alpha1.SecretKeyRef) []byte {
	value, ok := c.secretValue(at, ref)
	if !ok {
		return nil
	}
	value, ok = visibleToken(at.to("key"), ref.Name, ref.Key, value)
	if !ok {
		return nil
	}
	if len(value) < minTokenBytes {
		at.to("key").warn(v1alpha1.ReasonWeak, "the token in key %q of Secret %q is shorter than %d characters: make a longer one at random", ref.Key, ref.Name, minTokenBytes)
	}
	sum := sha256.Sum256(value)
	return sum[:]
}

func (c *compiler) clientCertificate(at spot, cert *v1alpha1.ClientCertificate) *snapshot.ClientCertificate {
	ca := c.bundle(at.to("caRef"), cert.CARef)
	names := slices.Clone(cert.Names)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 || names[0] == "" {
		at.to("names").error(v1alpha1.ReasonInvalidValue, "name the DNS names or URIs of which the certificate must carry one")
	}
	return &snapshot.ClientCertificate{CA: ca, Names: names}
}
