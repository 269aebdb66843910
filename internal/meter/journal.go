package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// The journal is two files that are written in turn: when the current one has
// grown large, and all that the other has is in the ledger, the other is begun
// anew. What was written survives the end of the process, and is not synced:
// what has to outlive a power cut is in a group of the ledger. The files are
// mapped into memory: a system call for each record cost twice as much as all else
// that is done for it. They are left early, so that what is written stays in the
// processor's caches, and few pages are the kernel's to write back.
// docs/formats/ledger.md describes the files.

const (
	journalMagic = "mcusage1"
	journalHead  = 8 + 8 + 4 // magic, number of the first record, checksum
	frameHead    = 4 + 4 + 8 // length, checksum, number of the record
	frameEnd     = 4         // zeros: no frame follows
	maxFrame     = 1 << 20   // length of a record
	turnBytes    = 256 << 10 // size at which a file is left, if it can be
	maxJournal   = 64 << 20  // size at which a file takes no more
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errJournal  = errors.New("not a journal of usage that this millicent knows")
	errOverfull = errors.New("the journal of usage is full: the ledger takes no records")
)

// A journal keeps records until they are in the ledger. It is not safe for
// concurrent use.
type journal struct {
	files [2]segment
	at    int // the current one
}

// A segment is one of a journal's files. It is always overwritten from its
// start: what an earlier use left behind has lower numbers.
type segment struct {
	file *os.File
	mem  mapping // of the file's beginning
	end  int64   // where the next frame goes
	next uint64  // number above those of its records
}

// A journalled is a record as the journal has it.
type journalled struct {
	number uint64
	record []byte
}

// openJournal opens the journal in a directory and returns what is in it, in
// the order of numbers. Call reset before the first append.
func openJournal(dir string) (j *journal, kept []journalled, err error) {
	j = &journal{}
	for i := range j.files {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("journal-%d", i)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, nil, errors.Join(err, j.close())
		}
		j.files[i].file = f
		content, err := io.ReadAll(io.LimitReader(f, 2*maxJournal))
		if err == nil {
			var held []journalled
			held, err = readJournal(content)
			kept = append(kept, held...)
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), j.close())
		}
		j.files[i].mem = mapFile(f)
	}
	slices.SortStableFunc(kept, func(a, b journalled) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return j, kept, nil
}

// readJournal returns the records of a file. It ends where a frame does not
// follow from the one before: there the process was killed, or the power
// failed.
func readJournal(b []byte) (kept []journalled, err error) {
	if len(b) < journalHead || crc32.Checksum(b[:journalHead-4], castagnoli) != binary.LittleEndian.Uint32(b[journalHead-4:]) {
		return nil, nil // never used, or torn by a power cut
	}
	if string(b[:8]) != journalMagic {
		return nil, errJournal
	}
	next := binary.LittleEndian.Uint64(b[8:])
	for b = b[journalHead:]; len(b) >= frameHead; {
		length, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		number := binary.LittleEndian.Uint64(b[8:])
		if length == 0 || length > maxFrame || int(length) > len(b)-frameHead || number < next ||
			crc32.Checksum(b[8:frameHead+length], castagnoli) != sum {
			break
		}
		kept = append(kept, journalled{number, b[frameHead : frameHead+length]})
		b, next = b[frameHead+length:], number+1
	}
	return kept, nil
}

// reset begins the journal anew with a record's number. What it had is in the
// ledger; nothing of that is left in either file.
func (j *journal) reset(number uint64) error {
	for i := range j.files {
		j.files[i].next = 0
	}
	return errors.Join(j.begin(1, number), j.begin(0, number))
}

// begin makes a file the current one.
func (j *journal) begin(i int, number uint64) error {
	head := append(appendJournalHead(nil, number), make([]byte, frameEnd)...)
	if err := j.files[i].write(head, 0); err != nil {
		return err
	}
	j.at, j.files[i].end = i, journalHead
	return nil
}

// appendJournalHead appends what a file begins with whose first record has a
// number.
func appendJournalHead(b []byte, number uint64) []byte {
	begin := len(b)
	b = binary.LittleEndian.AppendUint64(append(b, journalMagic...), number)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
}

// write writes at an offset.
func (s *segment) write(p []byte, at int64) error {
	if s.mem.put(p, at) {
		return nil
	}
	_, err := s.file.WriteAt(p, at)
	return err
}

// appendFrame appends a frame without its record, which is to follow: see seal.
func appendFrame(b []byte, number uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, 0, 0, 0, 0, 0, 0, 0, 0), number)
}

// seal completes the frame that begins at an index and has its record, and
// appends what says that no other follows: without that, what an earlier use of
// the file left behind could be made to look like a frame, by who chose its
// texts.
func seal(b []byte, begin int) []byte {
	frame := b[begin:]
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHead))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
	return append(b, make([]byte, frameEnd)...)
}

// append writes a sealed frame of a record. All records below durable are in the
// ledger.
func (j *journal) append(frame []byte, number, durable uint64) error {
	s := &j.files[j.at]
	if other := 1 - j.at; s.end >= turnBytes && j.files[other].next <= durable {
		if err := j.begin(other, number); err != nil {
			return err
		}
		s = &j.files[other]
	}
	if s.end+int64(len(frame)) > maxJournal {
		return errOverfull
	}
	if err := s.write(frame, s.end); err != nil {
		return err
	}
	s.end, s.next = s.end+int64(len(frame)-frameEnd), number+1
	return nil
}

func (j *journal) close() error {
	var errs []error
	for _, s := range j.files {
		if s.file != nil {
			errs = append(errs, s.mem.close(), s.file.Close())
		}
	}
	return errors.Join(errs...)
}
