package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// policy is a tlog-policy: a name stands for a witness's verifier or for a group.
type policy struct {
	logs      []note.Verifier
	witnesses map[string]note.Verifier
	groups    map[string]group
	quorum    string
}

type group struct {
	threshold int64
	members   []string
}

func (p *policy) known(name string) bool {
	_, witness := p.witnesses[name]
	_, group := p.groups[name]
	return witness || group
}

func (p *policy) met(name string, signed map[string]bool) bool {
	group, ok := p.groups[name]
	if !ok {
		return name == "none" || signed[name]
	}
	var count int64
	for _, member := range group.members {
		if p.met(member, signed) {
			count++
		}
	}
	return count >= group.threshold
}

func (p *policy) define(words []string, used map[string]bool) error {
	switch {
	case words[0] == "log" && (len(words) == 2 || len(words) == 3):
		one, err := verifier(words[1])
		if err != nil {
			return err
		}
		p.logs = append(p.logs, one)
	case words[0] == "witness" && (len(words) == 3 || len(words) == 4):
		one, err := verifier(words[2])
		if err != nil {
			return err
		}
		if p.known(words[1]) || words[1] == "none" {
			return errors.New("a name stands twice")
		}
		p.witnesses[words[1]] = one
	case words[0] == "group" && len(words) >= 4:
		members := words[3:]
		for _, member := range members {
			if !p.known(member) || used[member] {
				return errors.New("a member that is not there, or is one already")
			}
			used[member] = true
		}
		threshold := map[string]int64{"any": 1, "all": int64(len(members))}[words[2]]
		if threshold == 0 {
			number, err := decimal(words[2])
			if err != nil {
				return err
			}
			threshold = number
		}
		if p.known(words[1]) || words[1] == "none" || threshold < 1 || threshold > int64(len(members)) {
			return errors.New("malformed group")
		}
		p.groups[words[1]] = group{threshold, members}
	case words[0] == "quorum" && len(words) == 2:
		if p.quorum != "" || (words[1] != "none" && !p.known(words[1])) {
			return errors.New("malformed quorum")
		}
		p.quorum = words[1]
	default:
		return fmt.Errorf("a line begins with %q", words[0])
	}
	return nil
}

func parsePolicy(text string) (*policy, error) {
	found := &policy{witnesses: map[string]note.Verifier{}, groups: map[string]group{}}
	used := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		words := strings.FieldsFunc(line, func(char rune) bool { return char == ' ' || char == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := found.define(words, used); err != nil {
			return nil, err
		}
	}
	if found.quorum == "" {
		return nil, errors.New("no quorum")
	}
	return found, nil
}

// check returns the head in a note that a log of the policy and a quorum of its witnesses signed.
func (p *policy) check(data []byte) (*head, error) {
	all := append([]note.Verifier(nil), p.logs...)
	for _, witness := range p.witnesses {
		all = append(all, witness)
	}
	opened, err := note.Open(data, note.VerifierList(all...))
	if err != nil {
		return nil, err
	}
	found, err := parseHead(opened.Text)
	if err != nil {
		return nil, err
	}
	signed := map[string]bool{}
	byLog := false
	for _, signature := range opened.Sigs {
		for _, log := range p.logs {
			byLog = byLog || (log.Name() == found.origin && log.Name() == signature.Name && log.KeyHash() == signature.Hash)
		}
		for name, witness := range p.witnesses {
			if witness.Name() == signature.Name && witness.KeyHash() == signature.Hash {
				signed[name] = true
			}
		}
	}
	if !byLog || !p.met(p.quorum, signed) {
		return nil, errors.New("not signed by a log and a quorum of the policy")
	}
	return found, nil
}

// checkProof verifies a tlog-proof of one entry under a policy.
func checkProof(q *Question) (*Answer, error) {
	rules, err := parsePolicy(q.Policy)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(string(q.Proof), "\n\n", 2)
	if len(parts) != 2 {
		return nil, errors.New("no checkpoint")
	}
	lines := strings.Split(parts[0], "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, errors.New("no header")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if _, err := base64.StdEncoding.Strict().DecodeString(lines[0][len("extra "):]); err != nil {
			return nil, err
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return nil, errors.New("no index")
	}
	index, err := decimal(lines[0][len("index "):])
	if err != nil {
		return nil, err
	}
	var hashes []tlog.Hash
	for _, line := range lines[1:] {
		one, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, one)
	}
	head, err := rules.check([]byte(parts[1]))
	if err != nil {
		return nil, err
	}
	return &Answer{Size: head.tree.N}, tlog.CheckRecord(hashes, head.tree.N, head.tree.Hash, index, tlog.RecordHash(q.Entries[0]))
}
