package meter

import (
	"crypto/sha256"
	"errors"
	"math/bits"
)

// A Hash is a SHA-256.
type Hash = [sha256.Size]byte

// The tree of a group is that of RFC 6962, section 2.1: hashes of leaves and of
// nodes begin differently, so that none can pass for the other, and a tree
// splits at the largest power of two below its size.

// leafHash returns the hash of a leaf.
func leafHash(leaf []byte) Hash {
	var room [512]byte // what most leaves fit into
	return sha256.Sum256(append(append(room[:0], 0), leaf...))
}

func nodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// split returns the size of the left part of a tree of n leaves, n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// merkleRoot returns the root over the hashes of leaves, which are not none.
func merkleRoot(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return nodeHash(merkleRoot(leaves[:k]), merkleRoot(leaves[k:]))
}

// merklePath returns the hashes by which the root follows from the leaf at an
// index, the lowest first.
func merklePath(leaves []Hash, index int) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if index < k {
		return append(merklePath(leaves[:k], index), merkleRoot(leaves[k:]))
	}
	return append(merklePath(leaves[k:], index-k), merkleRoot(leaves[:k]))
}

var errPath = errors.New("the path does not fit a tree of that size")

// rootOf returns the root that follows from a leaf and its path, in a tree of a
// size.
func rootOf(leaf Hash, index, size int, path []Hash) (Hash, error) {
	if size < 1 || index < 0 || index >= size {
		return Hash{}, errPath
	}
	if size == 1 {
		if len(path) > 0 {
			return Hash{}, errPath
		}
		return leaf, nil
	}
	if len(path) == 0 {
		return Hash{}, errPath
	}
	last, rest := path[len(path)-1], path[:len(path)-1]
	k := split(size)
	if index < k {
		left, err := rootOf(leaf, index, k, rest)
		return nodeHash(left, last), err
	}
	right, err := rootOf(leaf, index-k, size-k, rest)
	return nodeHash(last, right), err
}
