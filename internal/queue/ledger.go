package queue

// A ledger knows how much of each pack in the log is still of use. The log is
// only ever cut at its front.
type ledger struct {
	cutBytes   int64 // see the constants
	slackBytes int64

	first uint64 // sequence of packs[0]
	packs []packUse
	bytes int64 // of all packs
	live  int64 // of the records of messages that are not settled
	dedup int64 // of the deduplication ids that are remembered

	front      int   // packs at the front that are known to be useless
	frontBytes int64 // of those
}

// packUse is what is known of one pack.
type packUse struct {
	bytes   uint32
	records uint32 // of messages that are not settled
}

const (
	// cutBytes is how many useless bytes at the front of the log make it worth
	// cutting: a block of the state server's files.
	cutBytes = 8 << 20

	// slackBytes is how many useless bytes the log may hold beyond as many as
	// there are useful ones, before messages at its front are written again
	// at its end.
	slackBytes = 32 << 20
)

// grow notes a pack at the end of the log.
func (l *ledger) grow(seq uint64, bytes int) {
	if len(l.packs) == 0 {
		l.first = seq
	}
	for l.first+uint64(len(l.packs)) < seq {
		l.packs = append(l.packs, packUse{})
	}
	l.packs = append(l.packs, packUse{bytes: uint32(bytes)})
	l.bytes += int64(bytes)
}

// add notes that a record of a pack is of use.
func (l *ledger) add(seq uint64, length uint32) {
	l.packs[seq-l.first].records++
	l.live += int64(length)
}

// sub notes that a record of a pack is no longer of use.
func (l *ledger) sub(seq uint64, length uint32) {
	l.packs[seq-l.first].records--
	l.live -= int64(length)
}

// worthCutting returns the sequence below which packs should be removed, and
// whether that is worth it: it costs that deduplication ids are written again.
func (l *ledger) worthCutting() (below uint64, worth bool) {
	below, useless := l.useless()
	return below, useless >= l.cutBytes+2*l.dedup
}

// cut forgets the packs below seq.
func (l *ledger) cut(seq uint64) {
	for len(l.packs) > 0 && l.first < seq {
		l.bytes -= int64(l.packs[0].bytes)
		if l.front > 0 {
			l.front--
			l.frontBytes -= int64(l.packs[0].bytes)
		}
		l.packs = l.packs[1:]
		l.first++
	}
}

// useless returns the sequence below which no pack is of use, and the bytes of
// those packs. The last pack always is: it has the number of the next message.
// Only the last pack can become of use, so that the front never goes back.
func (l *ledger) useless() (below uint64, bytes int64) {
	for l.front < len(l.packs)-1 && l.packs[l.front].records == 0 {
		l.frontBytes += int64(l.packs[l.front].bytes)
		l.front++
	}
	return l.first + uint64(l.front), l.frontBytes
}

// crowded reports whether the log holds more useless bytes than it should.
func (l *ledger) crowded() bool { return l.bytes > 2*(l.live+l.dedup)+l.slackBytes }

// end returns the sequence after the last pack.
func (l *ledger) end() uint64 { return l.first + uint64(len(l.packs)) }

// records returns how many records of a pack are of use.
func (l *ledger) records(seq uint64) uint32 {
	if seq < l.first || seq >= l.end() {
		return 0
	}
	return l.packs[seq-l.first].records
}
