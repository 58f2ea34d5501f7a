package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of tlog-tiles

func hashOf(data []byte) (found tlog.Hash, err error) {
	if len(data) != tlog.HashSize {
		return found, fmt.Errorf("a hash of %d bytes", len(data))
	}
	copy(found[:], data)
	return found, nil
}

func hashesOf(list [][]byte) (found []tlog.Hash, err error) {
	for _, data := range list {
		one, err := hashOf(data)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

func bytesOf(list []tlog.Hash) (found [][]byte) {
	for _, one := range list {
		found = append(found, append([]byte(nil), one[:]...))
	}
	return found
}

func checkInclusion(q *Question) (*Answer, error) {
	proof, err := hashesOf(q.Hashes)
	if err != nil {
		return nil, err
	}
	root, err := hashOf(q.Root)
	if err != nil {
		return nil, err
	}
	return &Answer{}, tlog.CheckRecord(proof, q.Size, root, q.Index, tlog.RecordHash(q.Entries[0]))
}

func checkConsistency(q *Question) (*Answer, error) {
	proof, err := hashesOf(q.Hashes)
	if err != nil {
		return nil, err
	}
	root, err := hashOf(q.Root)
	if err != nil {
		return nil, err
	}
	old, err := hashOf(q.OldRoot)
	if err != nil {
		return nil, err
	}
	return &Answer{}, tlog.CheckTree(proof, q.Size, root, q.OldSize, old)
}

// path turns x/mod's path of a tile, tile/8/<L>/<N>, into that of tlog-tiles.
func path(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

// bundle is the path of the entries that a level 0 tile covers.
func bundle(tile tlog.Tile) string {
	return strings.Replace(path(tile), "tile/0/", "tile/entries/", 1)
}

func encodeBundle(entries [][]byte) (data []byte) {
	for _, entry := range entries {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(entry))), entry...)
	}
	return data
}

func decodeBundle(data []byte) (entries [][]byte, err error) {
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, errors.New("a bundle ends within an entry")
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	return entries, nil
}

// memory holds all hashes of a tree, by x/mod's storage index.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) (found []tlog.Hash, err error) {
	for _, index := range indexes {
		found = append(found, m[index])
	}
	return found, nil
}

func tilesOf(entries [][]byte) (map[string][]byte, tlog.Hash, error) {
	var hashes memory
	for index, entry := range entries {
		stored, err := tlog.StoredHashes(int64(index), entry, hashes)
		if err != nil {
			return nil, tlog.Hash{}, err
		}
		hashes = append(hashes, stored...)
	}
	files := map[string][]byte{}
	size := int64(len(entries))
	for level := 0; size>>(uint(level)*height) > 0; level++ {
		for number, left := int64(0), size>>(uint(level)*height); left > 0; number, left = number+1, left-1<<height {
			tile := tlog.Tile{H: height, L: level, N: number, W: 1 << height}
			if left < 1<<height {
				tile.W = int(left)
			}
			data, err := tlog.ReadTileData(tile, hashes)
			if err != nil {
				return nil, tlog.Hash{}, err
			}
			files[path(tile)] = data
			if level == 0 {
				files[bundle(tile)] = encodeBundle(entries[number<<height : number<<height+int64(tile.W)])
			}
		}
	}
	root, err := tlog.TreeHash(size, hashes)
	return files, root, err
}

func buildTiles(q *Question) (*Answer, error) {
	files, root, err := tilesOf(q.Entries)
	return &Answer{Files: files, Root: root[:], Size: int64(len(q.Entries))}, err
}

// folder is a tlog.TileReader of static files; TileHashReader checks each tile that it reads against the tree's root.
type folder string

func (f folder) Height() int                         { return height }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (f folder) read(name string) ([]byte, error)    { return os.ReadFile(filepath.Join(string(f), name)) }
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := f.read(path(tile))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path(tile), len(data))
		}
		found = append(found, data)
	}
	return found, nil
}

func proveFromTiles(q *Question) (*Answer, error) {
	root, err := hashOf(q.Root)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tlog.Tree{N: q.Size, Hash: root}, folder(q.Dir))
	if q.Index >= 0 {
		proof, err := tlog.ProveRecord(q.Size, q.Index, reader)
		return &Answer{Hashes: bytesOf(proof)}, err
	}
	proof, err := tlog.ProveTree(q.Size, q.OldSize, reader)
	return &Answer{Hashes: bytesOf(proof)}, err
}

// auditLog reads a whole log from its static files, as a monitor does that trusts nothing but the log's key.
func auditLog(q *Question) (*Answer, error) {
	files := folder(q.Dir)
	data, err := files.read("checkpoint")
	if err != nil {
		return nil, err
	}
	opened, err := openNote(&Question{Note: data, Keys: q.Keys})
	if err != nil {
		return nil, err
	}
	head, err := parseHead(opened.Text)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for number, left := int64(0), head.tree.N; left > 0; number, left = number+1, left-1<<height {
		tile := tlog.Tile{H: height, N: number, W: 1 << height}
		if left < 1<<height {
			tile.W = int(left)
		}
		data, err := files.read(bundle(tile))
		if err != nil {
			return nil, err
		}
		found, err := decodeBundle(data)
		if err != nil {
			return nil, err
		}
		if len(found) != tile.W {
			return nil, fmt.Errorf("%s holds %d entries", bundle(tile), len(found))
		}
		entries = append(entries, found...)
	}
	wanted, root, err := tilesOf(entries)
	if err != nil {
		return nil, err
	}
	if head.tree.N > 0 && root != head.tree.Hash {
		return nil, errors.New("the entries do not lead to the checkpoint's root")
	}
	for name, data := range wanted {
		stored, err := files.read(name)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(stored, data) {
			return nil, fmt.Errorf("%s differs from what the entries make", name)
		}
	}
	return &Answer{Root: head.tree.Hash[:], Size: head.tree.N, Text: head.origin, Names: opened.Names}, nil
}
