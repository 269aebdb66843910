package process

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/nowait"
)

// joinLimit is the size up to which an event is copied behind its head, so
// that one system call sends both.
const joinLimit = 64 << 10

// A link is the server's ends of the pipes to a bootstrap of ours. It moves
// the session by what the runtime sends. One goroutine at a time uses it, but
// for interrupt and close.
//
// It is two pipes and not a socket because whoever reads from a socket wakes
// its other end, to tell that there is room again: two threads more would be
// woken for each invocation than have anything to do.
type link struct {
	r, w       *os.File       // what the runtime says, and what it is told
	said, told *nowait.Stream // of r and of w
	session    *session
	refused    func() // called when the runtime has no use for the compiled code; may be nil
	in         linkReader
	out        []byte
	id         string      // of the latest turn
	limit      time.Time   // when reads fail; zero when it is not known
	over       func() bool // nobody waits for what the runtime is told; may be nil

	parts linkParts

	snapshot io.Writer // takes the parts of a snapshot; nil where none is wanted
}

// newLink returns the server's end of a new link, and the runtime's: the
// descriptors to read from and to write to, in this order.
func newLink(s *session) (l *link, theirs files, err error) {
	l = &link{session: s}
	var r, w *os.File
	if l.r, w, err = nowait.Pipe(0); err != nil {
		return nil, nil, err
	}
	if r, l.w, err = nowait.Pipe(1); err != nil {
		return nil, nil, errors.Join(err, l.r.Close(), w.Close())
	}
	said, err := nowait.New(l.r)
	if err == nil {
		l.told, err = nowait.New(l.w)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.close(), r.Close(), w.Close())
	}
	l.said, l.in.src = said, said
	l.interrupt() // send sets the time of writes whenever it has passed
	return l, files{r, w}, nil
}

// files are closed together.
type files []*os.File

func (f files) close() error {
	var errs []error
	for _, one := range f {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// offer gives t to the runtime, which waits for it; false when the runtime
// does not wait. A runtime that has ended does not get it: t is not delivered
// then.
func (l *link) offer(t *turn) bool {
	l.session.mu.Lock()
	if !l.session.idle() {
		l.session.mu.Unlock()
		return false
	}
	l.session.turn = t
	l.session.take()
	l.session.mu.Unlock()

	l.id = t.id
	l.out = appendInvoke(l.out[:0], t)
	var err error
	if len(t.event) <= joinLimit {
		l.out = append(l.out, t.event...)
		err = l.send(l.out, t.deadline)
	} else if err = l.send(l.out, t.deadline); err == nil {
		err = l.send(t.event, t.deadline)
	}
	if err != nil && !interrupted(err) {
		l.session.mu.Lock()
		t.delivered = false
		l.session.mu.Unlock()
	}
	return true
}

// send writes p. Only what the pipe does not hold waits, for a runtime that
// does not read, until late or until it is over.
func (l *link) send(p []byte, late time.Time) error {
	for {
		n, err := l.told.Write(p)
		p = p[n:]
		if !interrupted(err) || !time.Now().Before(late) {
			return err
		}
		// The limit was that of a write before, or this is an interruption,
		// whose mark is set before it.
		_ = l.w.SetWriteDeadline(late) // fails only when it is closed: then writes do
		if l.over != nil && l.over() {
			return err
		}
	}
}

// read takes one message of the runtime, and with it the wish for the next event
// that mostly comes along with an answer.
func (l *link) read() error {
	kind, body, err := l.in.next()
	if err != nil {
		l.limit = time.Time{} // it may have been an interruption
		return err
	}
	err = l.apply(kind, body)
	if err == nil && l.in.takes(linkNext) {
		err = l.apply(linkNext, nil)
	}
	return err
}

// maxRest is more than a pipe holds. Who would write more has not ended:
// a process that a runtime left behind, and that nobody waits for.
const maxRest = 8 << 20

// rest takes what has arrived, without waiting for more.
func (l *link) rest() {
	defer l.arrived()()
	for l.read() == nil {
	}
}

// arrived has reads see what has arrived, as if nothing more came, until it is
// undone.
func (l *link) arrived() (undo func()) {
	l.in.src = &present{l.r, maxRest}
	return func() { l.in.src = l.said }
}

// present reads what a file holds, as if nothing more came, and no more of it
// than left.
type present struct {
	file *os.File
	left int
}

func (p *present) Read(b []byte) (n int, err error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(len(b), p.left)]
	defer func() { p.left -= n }()
	conn, err := p.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	closed := conn.Control(func(fd uintptr) {
		for {
			if n, err = syscall.Read(int(fd), b); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	})
	if err = errors.Join(closed, err); n <= 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// until makes reads fail from t on.
func (l *link) until(t time.Time) {
	if l.limit.Equal(t) {
		return
	}
	l.limit = t
	_ = l.r.SetReadDeadline(t) // fails only when it is closed: then reads do
}

// patiently makes reads fail after some of the patience that waits have, and
// at late at the latest. Most waits are over sooner, and few of them have to
// set a time of their own.
func (l *link) patiently(now, late time.Time) {
	if l.limit.After(now) && !l.limit.After(late) && !l.limit.After(now.Add(patience)) {
		return
	}
	l.until(earlier(now.Add(patience), late))
}

// interrupt makes a read or write that waits fail, or the next one that would.
// It may come at any time. Whoever sees the failure goes on after until.
func (l *link) interrupt() {
	past := time.Unix(1, 0)
	_, _ = l.r.SetReadDeadline(past), l.w.SetWriteDeadline(past) // as in until
}

func interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func (l *link) close() error { return errors.Join(l.r.Close(), l.w.Close()) }

// apply moves the session as a message says.
func (l *link) apply(kind byte, body []byte) error {
	s := l.session
	switch kind {
	case linkNext:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == stateRunning {
			return errViolation
		}
		if _, ok := s.ask(); !ok {
			return errViolation
		}
		return nil
	case linkRefused:
		if l.refused != nil {
			l.refused()
		}
		return nil
	case linkResponse, linkError:
		return l.answered(kind, body)
	case linkStream:
		return l.begin(body)
	case linkChunk:
		return l.chunk(body)
	case linkTrailer:
		return l.finish(body)
	case linkPart:
		return l.part(body)
	case linkInitError:
		kind, document, ok := cutShort(body, "")
		if !ok {
			return errViolation
		}
		if _, ok := s.claimInit(); !ok {
			return errViolation
		}
		s.settleInit(bounded(&lifecycle.Failure{Type: lifecycle.RuntimeErrorType(kind), Document: document}))
		return nil
	default:
		return errViolation
	}
}

// answered takes a response or an error, all of it in one message.
func (l *link) answered(kind byte, body []byte) error {
	id, body, ok := cutShort(body, l.id)
	if !ok {
		return errViolation
	}
	what, payload, ok := cutShort(body, mediaJSON)
	if !ok {
		return errViolation
	}
	state := stateResponse
	if kind == linkError {
		state = stateErrorResponse
	}
	t, _, _ := l.session.claim(id, state)
	if t == nil {
		return errViolation
	}
	switch {
	case len(payload) > maxPayload:
		t.answer.failure = lifecycle.ResponseTooLarge(maxPayload)
	case kind == linkError:
		t.answer.failure = &lifecycle.Failure{Type: lifecycle.FunctionErrorType(what), Document: payload}
	default:
		t.answer.payload, t.answer.contentType = payload, what
	}
	l.session.settle(t, &t.answer)
	return nil
}

// bounded returns f, or what becomes of a report that is too large.
func bounded(f *lifecycle.Failure) *lifecycle.Failure {
	if len(f.Document) > maxPayload {
		return lifecycle.ResponseTooLarge(maxPayload)
	}
	return f
}
