package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
)

// Where records are: so that one is found by its id, or is known to be nowhere,
// without the stream being read. Of each record there are three bytes of a
// hash, in the order of the stream: 3 MB of a million records. They are written
// by rows of many groups; those of the latest groups are in memory alone, and
// are read from the stream again when the ledger is opened.

const (
	placeBytes = 3 // of a record's hash: some 15 of 250 million are the same

	// How much a row is about, at most, but for the last group.
	placesRecords = 16 << 10
	placesGroups  = 2048
)

type placeHash [placeBytes]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// placeOf returns the hash of a record's tenant and id: of a CRC-32C, which a
// processor has an instruction for. Who finds two that are the same has groups
// read in vain, and ids are the platform's own.
func placeOf(tenant, id string) placeHash {
	var room [128]byte // what most of them fit into
	sum := crc32.Checksum(append(append(append(room[:0], tenant...), 0), id...), castagnoli)
	return placeHash{byte(sum), byte(sum >> 8), byte(sum >> 16)}
}

// A placeRow is the places of some groups that follow one another.
type placeRow struct {
	first, last     uint64 // groups
	groups, records int
	buf             []byte // of each group: its sequence less that of the one before, how many records, their hashes
}

// places are those that the file does not have. The zero value is empty.
type places struct {
	mu      sync.Mutex
	last    uint64     // group: those up to it are here or in the file
	written uint64     // the last one that the file has
	sealed  []placeRow // to be written
	open    placeRow   // takes in more
}

// reset forgets what is not in the file.
func (p *places) reset(written uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.written, p.sealed, p.open = written, written, nil, placeRow{}
}

// add adds the group after the last one; one that is known is left out.
func (p *places) add(g *Group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.Seq <= p.last {
		return
	}
	p.last = g.Seq
	row := &p.open
	if row.groups == 0 {
		row.first, row.last = g.Seq, g.Seq
	}
	row.buf = binary.AppendUvarint(row.buf, g.Seq-row.last)
	row.buf = binary.AppendUvarint(row.buf, uint64(len(g.Records)))
	for i := range g.Records {
		h := placeOf(g.Records[i].Tenant, g.Records[i].ID)
		row.buf = append(row.buf, h[:]...)
	}
	row.last = g.Seq
	row.groups++
	row.records += len(g.Records)
	if row.records >= placesRecords || row.groups >= placesGroups {
		p.sealed = append(p.sealed, p.open)
		p.open = placeRow{}
	}
}

// write writes the rows that are complete. Call done when they are in the file.
func (p *places) write(tx *sql.Tx) (done func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, row := range p.sealed {
		if _, err := tx.Exec("INSERT INTO places VALUES (?, ?, ?)", int64(row.last), int64(row.first), row.buf); err != nil {
			return nil, err
		}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.sealed); n > 0 {
			p.written, p.sealed = p.sealed[n-1].last, nil
		}
	}, nil
}

// inMemory returns the rows that the file does not have, the latest first.
func (p *places) inMemory() (rows []placeRow, last, written uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.open
	open.buf = bytes.Clone(open.buf)
	rows = append(slices.Clone(p.sealed), open)
	slices.Reverse(rows)
	return rows, p.last, p.written
}

// search calls each with the groups of a row that may have a record of a hash,
// the latest first, until it returns false.
func search(first uint64, row []byte, h placeHash, each func(seq uint64) bool) (more bool) {
	var found []uint64
	for seq := first; len(row) > 0; {
		delta, n := binary.Uvarint(row)
		count, m := binary.Uvarint(row[max(n, 0):])
		if n <= 0 || m <= 0 || count > uint64(len(row)-n-m)/placeBytes {
			break // damaged: nothing is found by it
		}
		row = row[n+m:]
		seq += delta
		hashes := row[:count*placeBytes]
		for i := 0; i < len(hashes); {
			at := bytes.Index(hashes[i:], h[:])
			if at < 0 {
				break
			}
			if (i+at)%placeBytes == 0 {
				found = append(found, seq)
				break
			}
			i += at + 1
		}
		row = row[count*placeBytes:]
	}
	for i := len(found) - 1; i >= 0; i-- {
		if !each(found[i]) {
			return false
		}
	}
	return true
}

// Find calls each with the groups that may have a tenant's record of an id, the
// latest first, until it returns false. All groups up to through are looked
// into, whether or not each is ever called.
func (l *Ledger) Find(ctx context.Context, tenant, id string, each func(seq uint64) bool) (through uint64, err error) {
	h := placeOf(tenant, id)
	latest, through, written := l.places.inMemory()
	for _, row := range latest {
		if !search(row.first, row.buf, h, each) {
			return through, nil
		}
	}
	l.files.RLock()
	defer l.files.RUnlock()
	rows, err := l.db.QueryContext(ctx, "SELECT first, hashes FROM places WHERE last <= ? ORDER BY last DESC", int64(written))
	if err != nil {
		return through, fmt.Errorf("search the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var first int64
		var row sql.RawBytes
		if err := rows.Scan(&first, &row); err != nil {
			return through, fmt.Errorf("search the ledger: %w", err)
		}
		if !search(uint64(first), row, h, each) {
			return through, nil
		}
	}
	return through, rows.Err()
}

// writtenPlaces returns the last group that a row of places has.
func writtenPlaces(db *sql.DB) (seq uint64, err error) {
	var last int64
	err = db.QueryRow("SELECT coalesce(max(last), 0) FROM places").Scan(&last)
	return uint64(last), err
}
