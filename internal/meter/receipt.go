package meter

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// receiptFormat is the version of the format of receipts.
const receiptFormat = 1

// Bounds of a receipt: a tree has no more leaves than a message has bytes, and
// a chain is passed in fewer steps.
const (
	maxPath  = 24
	maxLinks = 200
)

// A Receipt proves that a record is in the ledger: from the record by the tree
// of its group to the group's hash, and from there, header by header, to the
// head of the chain. It can be checked without a server; docs/formats/ledger.md
// says how.
type Receipt struct {
	Format int       `json:"format"`
	Usage  UsageText `json:"usage"` // what Record says, for people

	Record []byte   `json:"record"` // the leaf of the tree
	Number uint64   `json:"number"` // of the record in the ledger
	Index  int      `json:"index"`  // of the record in its group
	Path   [][]byte `json:"path"`   // hashes, the lowest first
	Header []byte   `json:"header"` // of the group
	Links  [][]byte `json:"links"`  // headers that lead from the head to the group, the head's first
	Head   Head     `json:"head"`   // the end of the ledger when the receipt was made
}

// A UsageText is a millicent.UsageRecord in JSON, with units in the names.
type UsageText struct {
	Kind       millicent.UsageKind `json:"kind"`
	ID         string              `json:"id"`
	Attempt    int                 `json:"attempt"`
	Tenant     string              `json:"tenant"`
	Function   string              `json:"function,omitempty"`
	Version    string              `json:"version,omitempty"`
	Alias      string              `json:"alias,omitempty"`
	Key        string              `json:"accessKey,omitempty"`
	Tags       map[string]string   `json:"tags,omitempty"`
	Root       string              `json:"root,omitempty"`
	Parent     string              `json:"parent,omitempty"`
	Start      time.Time           `json:"start"`
	DurationUs int64               `json:"durationUs"`
	InitUs     int64               `json:"initUs"`
	BilledMs   int64               `json:"billedMs"`
	MemoryMB   int                 `json:"memoryMB"`
	PeakMB     int                 `json:"peakMemoryMB"`
	CPUUs      int64               `json:"cpuUs"`
	In         int64               `json:"bytesIn"`
	Out        int64               `json:"bytesOut"`
	Egress     int64               `json:"bytesEgress"`
	Fuel       uint64              `json:"fuel,omitempty"`
	Cold       bool                `json:"cold"`
	Outcome    millicent.Outcome   `json:"outcome,omitempty"`
	Quantity   int64               `json:"quantity,omitempty"`
	PriceBook  string              `json:"priceBook,omitempty"`
}

// TextOf returns a record for people.
func TextOf(r millicent.UsageRecord) UsageText {
	return UsageText{
		Kind: r.Kind, ID: r.ID, Attempt: r.Attempt, Tenant: r.Tenant, Function: r.Function, Version: r.Version, Alias: r.Alias,
		Key: r.Key, Tags: r.Tags, Root: r.Root, Parent: r.Parent, Start: r.Start,
		DurationUs: r.Duration.Microseconds(), InitUs: r.Init.Microseconds(), BilledMs: r.Billed.Milliseconds(),
		MemoryMB: r.MemoryMB, PeakMB: r.PeakMemoryMB, CPUUs: r.CPU.Microseconds(),
		In: r.In, Out: r.Out, Egress: r.Egress, Fuel: r.Fuel, Cold: r.Cold, Outcome: r.Outcome, Quantity: r.Quantity, PriceBook: r.PriceBook,
	}
}

// receiptOf returns the receipt of a group's record, without links and head.
func receiptOf(g *group, index int) *Receipt {
	r := &Receipt{
		Format: receiptFormat, Usage: TextOf(g.records[index]), Record: appendRecord(nil, &g.records[index]),
		Number: g.first + uint64(index), Index: index, Path: [][]byte{}, Header: g.append(nil), Links: [][]byte{},
		Head: Head{g.seq, g.next() - 1, g.hash()},
	}
	for _, h := range merklePath(g.leaves, index) {
		r.Path = append(r.Path, h[:])
	}
	return r
}

// Check checks a receipt, and returns the record that it proves and the group
// that has it. What it proves is as good as the head's hash: compare that with
// one that was noted.
func (r *Receipt) Check() (rec millicent.UsageRecord, group Head, err error) {
	if r.Format != receiptFormat {
		return rec, group, fmt.Errorf("a receipt of format %d, which this millicent does not know", r.Format)
	}
	if rec, err = decodeRecord(r.Record); err != nil {
		return rec, group, err
	}
	text := TextOf(rec)
	if r.Usage.Start = r.Usage.Start.UTC(); !reflect.DeepEqual(text, r.Usage) {
		return rec, group, errors.New("what it says for people is not what its record says")
	}
	h, err := decodeHeader(r.Header)
	if err != nil {
		return rec, group, err
	}
	if r.Index < 0 || h.first+uint64(r.Index) != r.Number {
		return rec, group, errors.New("the record has another number in its group")
	}
	if err := r.checkPath(&h); err != nil {
		return rec, group, err
	}
	group = Head{h.seq, h.next() - 1, h.hash()}
	return rec, group, r.checkLinks(&h)
}

// checkPath checks that the record is in the group of a header.
func (r *Receipt) checkPath(h *header) error {
	if len(r.Path) > maxPath || h.count > 1<<maxPath {
		return errPath
	}
	path := make([]Hash, len(r.Path))
	for i, p := range r.Path {
		if len(p) != len(path[i]) {
			return errPath
		}
		path[i] = Hash(p)
	}
	root, err := rootOf(leafHash(r.Record), r.Index, int(h.count), path)
	if err != nil {
		return err
	}
	if root != h.root {
		return errors.New("the record is not in its group")
	}
	return nil
}

// checkLinks checks that the headers lead from the head to a group's.
func (r *Receipt) checkLinks(group *header) error {
	if len(r.Links) > maxLinks {
		return errors.New("too many links")
	}
	// what the next header has to be: one of these
	wanted := []skip{{r.Head.Seq, r.Head.Hash}}
	met := func(h *header) bool { return slices.Contains(wanted, skip{h.seq, h.hash()}) }
	for _, link := range r.Links {
		h, err := decodeHeader(link)
		if err != nil {
			return fmt.Errorf("link: %w", err)
		}
		if !met(&h) {
			return fmt.Errorf("the chain from the head breaks at group %d", h.seq)
		}
		wanted = []skip{{h.seq - 1, h.previous}, {skipTo(h.seq), h.skip}}
	}
	if !met(group) {
		return errors.New("the head does not lead to the group")
	}
	return nil
}
