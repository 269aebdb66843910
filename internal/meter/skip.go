package meter

import "math/bits"

// Each group has the hash of the one before it and of one further back, so that
// a short list of headers leads from the end of the chain to any group: no more
// than three times the binary logarithm of its length. Which one that is
// follows E. Myers, An applicative random-access stack (1983): a number is a sum
// of numbers 2ᵏ-1, each the largest that fits, and skips the last of them.

// lastTerm returns the last term of that sum for a number above zero, and how
// many terms there are.
func lastTerm(n uint64) (term uint64, terms int) {
	for n > 0 {
		term = 1<<(bits.Len64(n+1)-1) - 1
		n -= term
		terms++
	}
	return term, terms
}

// skipTo returns the group that a group's skip is the hash of; zero for none.
func skipTo(seq uint64) uint64 {
	term, _ := lastTerm(seq)
	return seq - term
}

// nextDown returns the group to go to from another on the way down to a third:
// its skip, or the one before it.
func nextDown(from, to uint64) uint64 {
	if skip := skipTo(from); skip >= to {
		return skip
	}
	return from - 1
}

// A skip is the hash of a group that later ones skip to.
type skip struct {
	seq  uint64
	hash Hash
}

// skips are the hashes of groups that the next ones skip to: those which are
// the first terms of the last number, by how many terms that are.
type skips [130]skip

func slot(seq uint64) int {
	_, terms := lastTerm(seq)
	return terms
}

func (s *skips) put(seq uint64, hash Hash) { s[slot(seq)] = skip{seq, hash} }

// get returns the hash of a group; ok is false where it is not known.
func (s *skips) get(seq uint64) (hash Hash, ok bool) {
	k := s[slot(seq)]
	return k.hash, k.seq == seq && seq > 0
}
