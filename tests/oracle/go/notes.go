package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	cosignatureV1 = 4
	timeBytes     = 8
)

func cosignedText(text []byte, at uint64) []byte {
	return append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", at)), text...)
}

func cosignerHash(name string, key ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// cosigner is a note.Verifier and note.Signer of cosignature/v1.
type cosigner struct {
	name    string
	key     ed25519.PublicKey
	private ed25519.PrivateKey
	at      uint64
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return cosignerHash(c.name, c.key) }

func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != timeBytes+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return at < 1<<63 && ed25519.Verify(c.key, cosignedText(text, at), signature[timeBytes:])
}

func (c *cosigner) Sign(text []byte) ([]byte, error) {
	stamp := make([]byte, timeBytes)
	binary.BigEndian.PutUint64(stamp, c.at)
	return append(stamp, ed25519.Sign(c.private, cosignedText(text, c.at))...), nil
}

// verifier returns x/mod's verifier of a plain key, ours of a cosigner's.
func verifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed verifier key")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) == 0 {
		return nil, errors.New("malformed verifier key")
	}
	if raw[0] != cosignatureV1 {
		return note.NewVerifier(vkey)
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return nil, errors.New("malformed cosigner key")
	}
	found := &cosigner{name: parts[0], key: ed25519.PublicKey(raw[1:])}
	if fmt.Sprintf("%08x", found.KeyHash()) != parts[1] {
		return nil, errors.New("the key id is not that of the cosigner key")
	}
	return found, nil
}

func verifiers(vkeys []string) (note.Verifiers, error) {
	var list []note.Verifier
	for _, vkey := range vkeys {
		one, err := verifier(vkey)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return note.VerifierList(list...), nil
}

func openNote(q *Question) (*Answer, error) {
	known, err := verifiers(q.Keys)
	if err != nil {
		return nil, err
	}
	opened, err := note.Open(q.Note, known)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Text: opened.Text}
	for _, signature := range opened.Sigs {
		answer.Names = append(answer.Names, signature.Name)
	}
	return answer, nil
}

func signNote(q *Question) (*Answer, error) {
	secret, public, err := note.GenerateKey(bytes.NewReader(q.Seed), q.Name)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: q.Text}, signer)
	return &Answer{Note: signed, Key: public}, err
}

func cosignNote(q *Question) (*Answer, error) {
	known, err := verifiers(q.Keys)
	if err != nil {
		return nil, err
	}
	opened, err := note.Open(q.Note, known)
	if err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(q.Seed)
	signer := &cosigner{name: q.Name, key: private.Public().(ed25519.PublicKey), private: private, at: q.Time}
	signed, err := note.Sign(opened, signer)
	return &Answer{Note: signed}, err
}

type head struct {
	origin string
	tree   tlog.Tree
}

func decimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || strconv.FormatInt(number, 10) != text {
		return 0, fmt.Errorf("%q is no decimal", text)
	}
	return number, nil
}

func parseHead(text string) (*head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" || lines[0] == "" {
		return nil, errors.New("malformed checkpoint")
	}
	size, err := decimal(lines[1])
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return nil, err
	}
	return &head{lines[0], tlog.Tree{N: size, Hash: root}}, nil
}
