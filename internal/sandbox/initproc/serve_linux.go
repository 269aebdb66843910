package initproc

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// server answers the requests and reaps.
type server struct {
	cfg     *Config
	spawner *spawner
	missing []string
	kick    chan struct{} // a process was started: there is something to wait for
	freezer int           // of cgroups of version 1; -1 until it is entrusted

	// mu keeps a process's birth and its death in order: it is held from fork
	// to answer, and while a death is reaped and told.
	mu       sync.Mutex
	children map[int]bool // started and not yet told dead
}

// serveSpawns answers the requests to Start, on the spawner's thread.
func (s *server) serveSpawns(buf []byte) {
	for {
		p, fds, err := receive(spawnFD, buf)
		if err != nil || len(p) == 0 {
			return // serve sees it as well, and ends this process
		}
		var r Request
		if err := r.Unmarshal(p); err != nil || r.Kind != Start {
			os.Exit(1)
		}
		s.start(&r, fds)
	}
}

// serve answers all other requests until the socket closes; it returns the
// exit code.
func (s *server) serve(buf []byte) int {
	for {
		p, fds, err := receive(controlFD, buf)
		if err != nil || len(p) == 0 {
			return 0
		}
		var r Request
		if err := r.Unmarshal(p); err != nil {
			return 1
		}
		if !s.answer(&r, fds) {
			return 1
		}
	}
}

// answer carries out r and reports whether the server could be told.
func (s *server) answer(r *Request, fds []int) bool {
	ans := Event{Kind: Answer, Seq: r.Seq}
	give := -1
	var err error
	switch r.Kind {
	case KillAll:
		go s.killAll(r.Seq)
		closeAll(fds)
		return true
	case Signal:
		err = s.signal(int(r.PID), unix.Signal(r.Signal))
	case Attach:
		err = attach(fds, r.Target)
	case Listen:
		give, err = listen(r.Port)
	case Rules:
		give, err = ruleset()
	case Adopt:
		closeAll(fds)
		return s.adopt(r)
	case Entrust:
		fds, err = s.entrust(fds)
	}
	closeAll(fds)
	if err != nil {
		ans.Errno, ans.Op = errnoOf(err), err.Error()
	}
	if give < 0 {
		return send(ans.Marshal()) == nil
	}
	defer unix.Close(give)
	return send(ans.Marshal(), give) == nil
}

// entrust keeps the file that comes with the request.
func (s *server) entrust(fds []int) (rest []int, err error) {
	if len(fds) != 1 {
		return fds, failed("descriptors of the freezer", unix.EBADMSG)
	}
	if s.freezer >= 0 { // the server has not waited for the first answer
		return fds, nil
	}
	s.freezer = fds[0]
	return nil, nil
}

// thaw lets what the server left frozen end with this process: in version 1
// what is frozen cannot be killed.
func (s *server) thaw() {
	if s.freezer >= 0 {
		_, _ = unix.Write(s.freezer, []byte("THAWED")) // then the next server does
	}
}

// start runs a process and answers. The calling thread is the spawner's.
func (s *server) start(r *Request, fds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, err := s.spawner.spawn(r, fds)
	closeAll(fds)
	ans := Event{Kind: Answer, Seq: r.Seq, PID: int32(pid)}
	if err != nil {
		ans.Errno, ans.Op, ans.PID = errnoOf(err), err.Error(), 0
	} else {
		s.children[pid] = true
	}
	_ = send(ans.Marshal()) // when it fails the server is gone, and serve ends this process
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// adopt makes a process that entered one of the children. It is an orphan, and
// so pid 1's to reap already.
func (s *server) adopt(r *Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ans := Event{Kind: Answer, Seq: r.Seq, PID: r.PID}
	pid := int(r.PID)
	err := unix.Kill(pid, 0) // one that is dead and not reaped yet is told of when it is
	switch {
	case pid <= 1 || s.children[pid]:
		err = unix.EINVAL
		fallthrough
	case err != nil:
		ans.Errno, ans.Op, ans.PID = errnoOf(err), failed("adopt", err).Error(), 0
	default:
		s.children[pid] = true
	}
	told := send(ans.Marshal()) == nil
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return told
}

// reap waits for every death in the sandbox: orphans become pid 1's children.
func (s *server) reap() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		switch err {
		case nil:
			s.reapDead()
		case unix.ECHILD:
			<-s.kick
		}
	}
}

// reapDead takes every dead child and tells of those that were started.
func (s *server) reapDead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		if !s.children[pid] {
			continue
		}
		delete(s.children, pid)
		e := Event{Kind: Exited, PID: int32(pid)}
		if ws.Signaled() {
			e.Signal = int32(ws.Signal())
		} else {
			e.Code = int32(ws.ExitStatus())
		}
		_ = send(e.Marshal()) // as in start
	}
}

func (s *server) signal(pid int, sig unix.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.children[pid] { // dead, and its pid perhaps another's
		return unix.ESRCH
	}
	return unix.Kill(pid, sig)
}

// killAll ends every process but this one, removes what outlives processes,
// and answers once they are reaped.
func (s *server) killAll(seq uint32) {
	for {
		err := unix.Kill(-1, unix.SIGKILL)
		if err == unix.ESRCH {
			break
		}
		// A child that dies wakes reap as well; whoever comes first reaps.
		var info unix.Siginfo
		if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil) == nil {
			s.reapDead()
		}
	}
	s.reapDead()
	removeObjects()
	ans := Event{Kind: Answer, Seq: seq}
	_ = send(ans.Marshal()) // as in start
}
