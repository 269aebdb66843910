package queue

// A placed value knows its place in a heap: -1 when it is in none.
type placed[T any] interface {
	before(T) bool
	place() *int32
}

// A heap is a binary heap with the first value on top, from which any value
// can be removed.
type heap[T placed[T]] []T

// top returns the first value; there must be one.
func (h heap[T]) top() T { return h[0] }

func (h *heap[T]) push(v T) {
	*v.place() = int32(len(*h))
	*h = append(*h, v)
	h.up(len(*h) - 1)
}

// remove takes out a value that is in the heap.
func (h *heap[T]) remove(v T) {
	s := *h
	i, last := int(*v.place()), len(s)-1
	s[i] = s[last]
	*s[i].place() = int32(i)
	var none T
	s[last] = none
	*h = s[:last]
	*v.place() = -1
	if i < last {
		h.moved(i)
	}
}

// fix restores the order after a value that is in the heap has changed.
func (h *heap[T]) fix(v T) { h.moved(int(*v.place())) }

func (h *heap[T]) moved(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !(*h)[i].before((*h)[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

// down reports whether the value at i moved.
func (h *heap[T]) down(i int) bool {
	start, s := i, *h
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if right := child + 1; right < len(s) && s[right].before(s[child]) {
			child = right
		}
		if !s[child].before(s[i]) {
			break
		}
		h.swap(i, child)
		i = child
	}
	return i > start
}

func (h *heap[T]) swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	*s[i].place(), *s[j].place() = int32(i), int32(j)
}
