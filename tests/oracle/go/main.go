// Command oracle answers questions about the log's formats with golang.org/x/mod, one JSON object a line.
//
// Notes are parsed and verified, hashes, tiles and proofs computed and checked by x/mod's sumdb/note and sumdb/tlog.
// What x/mod does not know is written here after the C2SP texts, on top of it: cosignature/v1 as a note.Verifier,
// the tile paths of tlog-tiles, entry bundles, tlog-proof and tlog-policy.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Question is what a test asks; which fields are needed depends on Ask. Bytes are base64.
type Question struct {
	Ask     string
	Dir     string
	Entries [][]byte
	Hashes  [][]byte
	Index   int64
	Name    string
	Note    []byte
	OldRoot []byte
	OldSize int64
	Policy  string
	Proof   []byte
	Root    []byte
	Seed    []byte
	Size    int64
	Text    string
	Time    uint64
	Keys    []string
}

// Answer holds what was found, or why there is nothing.
type Answer struct {
	Error  string            `json:"error,omitempty"`
	Files  map[string][]byte `json:"files,omitempty"`
	Hashes [][]byte          `json:"hashes,omitempty"`
	Key    string            `json:"key,omitempty"`
	Names  []string          `json:"names,omitempty"`
	Note   []byte            `json:"note,omitempty"`
	Root   []byte            `json:"root,omitempty"`
	Size   int64             `json:"size"`
	Text   string            `json:"text,omitempty"`
}

var answers = map[string]func(*Question) (*Answer, error){
	"open":        openNote,
	"sign":        signNote,
	"cosign":      cosignNote,
	"inclusion":   checkInclusion,
	"consistency": checkConsistency,
	"build":       buildTiles,
	"prove":       proveFromTiles,
	"audit":       auditLog,
	"proof":       checkProof,
}

func answer(line []byte) (found *Answer) {
	defer func() {
		if what := recover(); what != nil {
			found = &Answer{Error: fmt.Sprint("panic: ", what)}
		}
	}()
	var question Question
	if err := json.Unmarshal(line, &question); err != nil {
		return &Answer{Error: "question: " + err.Error()}
	}
	ask, ok := answers[question.Ask]
	if !ok {
		return &Answer{Error: "question: nobody knows " + question.Ask}
	}
	found, err := ask(&question)
	if err != nil {
		return &Answer{Error: err.Error()}
	}
	return found
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := out.Encode(answer(line)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
