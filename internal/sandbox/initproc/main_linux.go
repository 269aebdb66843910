package initproc

import (
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"
)

// Name is the zeroth argument that makes a program with Main in it the first
// process of a sandbox.
const Name = "millicent-init"

// defaultSlack is how much later than asked for a sleep may end, in
// nanoseconds, where nobody says otherwise. Pid 1 is started with more.
const defaultSlack = 50_000

// Main is the first process of a sandbox. It never returns.
func Main() {
	// Before the lock, for the runtime clones later threads from one that it
	// makes there. Only its monitor, which is there already, keeps what it has.
	dropInit(kept | setUpOnly)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, defaultSlack, 0, 0, 0) // cannot fail
	runtime.LockOSThread()
	dropInit(kept | setUpOnly) // if this was another thread: the first one
	os.Exit(run())
}

// run has the spawner set up, and serves until the server closes the socket.
func run() int {
	// What the server was given by whoever started it is not for the sandbox.
	if err := unix.CloseRange(spawnFD+1, 1<<31-1, 0); err != nil {
		return 1
	}
	oom := openOOM()
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // cannot fail with this value
	unix.CloseOnExec(controlFD)
	unix.CloseOnExec(spawnFD)
	set := make(chan *server, 1)
	go func() { // the spawner
		runtime.LockOSThread()
		buf := make([]byte, MaxMessage)
		s := prepare(buf, &spawner{oom: oom})
		set <- s
		if s != nil {
			s.serveSpawns(buf)
		}
	}()
	dropInit(kept)
	s := <-set
	if s == nil {
		return 1
	}
	go s.reap()
	code := s.serve(make([]byte, MaxMessage))
	s.thaw()
	return code
}

// prepare takes the Config, sets up and tells the server; nil when there is
// nothing to serve.
func prepare(buf []byte, sp *spawner) *server {
	p, fds, err := receive(controlFD, buf)
	if err != nil || len(p) == 0 {
		return nil
	}
	var cfg Config
	if err := cfg.Unmarshal(p); err != nil {
		e := Event{Kind: Ready, Errno: int32(unix.EPROTO), Op: "the embedded first process is not of this build"}
		_ = send(e.Marshal()) // the exit tells as well
		return nil
	}
	s, ports, err := setUp(&cfg, fds, sp)
	defer closeAll(ports)
	if err != nil {
		e := Event{Kind: Ready, Errno: errnoOf(err), Op: err.Error()}
		_ = send(e.Marshal()) // as above
		return nil
	}
	ready := Event{Kind: Ready, Missing: s.missing}
	if send(ready.Marshal(), ports...) != nil {
		return nil
	}
	return s
}

// passed are the descriptors that come with a Config.
type passed struct {
	tree    int // -1 without
	tmp     int // -1 without
	targets []int
	tasks   []int
}

func split(cfg *Config, fds []int) (p passed, err error) {
	mounts := len(cfg.Targets)
	if len(cfg.Sources) > 0 {
		mounts = 0
	}
	want := mounts + cfg.Tasks
	for _, has := range []bool{cfg.HasRoot, cfg.HasTmp} {
		if has {
			want++
		}
	}
	if len(fds) != want {
		return p, failed("descriptors of the set-up", unix.EBADMSG)
	}
	p.tree, p.tmp = -1, -1
	if cfg.HasRoot {
		p.tree, fds = fds[0], fds[1:]
	}
	if cfg.HasTmp {
		p.tmp, fds = fds[0], fds[1:]
	}
	p.targets, p.tasks = fds[:mounts], fds[mounts:]
	return p, nil
}

// setUp turns this process into the sandbox's pid 1, and the calling thread,
// which is the spawner's, into one under the sandbox's rules. It returns the
// sockets of the Config's Ports as well, which the caller closes.
func setUp(cfg *Config, fds []int, sp *spawner) (_ *server, ports []int, err error) {
	defer closeAll(fds)
	p, err := split(cfg, fds)
	if err != nil {
		return nil, nil, err
	}
	s := &server{cfg: cfg, spawner: sp, children: map[int]bool{}, kick: make(chan struct{}, 1), freezer: -1}
	sp.cfg = cfg
	if ports, err = s.connect(); err != nil {
		return nil, ports, err
	}
	return s, ports, s.isolate(p)
}

// connect sets up the network.
func (s *server) connect() (ports []int, err error) {
	if err := networkUp(s.cfg.Redirect); err != nil {
		return nil, err
	}
	if s.cfg.Redirect != 0 && redirect(s.cfg.Redirect) != nil {
		s.missing = append(s.missing, "nftables")
		if err := routeDown(); err != nil {
			return nil, err
		}
	}
	for _, port := range s.cfg.Ports {
		fd, err := listen(port)
		if err != nil {
			return ports, err
		}
		ports = append(ports, fd)
	}
	return ports, nil
}

// isolate does the rest.
func (s *server) isolate(p passed) error {
	cfg := s.cfg
	if cfg.Rootless { // processes inside have pid 1's own uid: their signals must not end it
		signal.Notify(make(chan os.Signal, 1))
	}
	if err := buildRoot(cfg, p); err != nil {
		return err
	}
	if err := setLimits(cfg.Rootless, cfg.Files); err != nil {
		return err
	}
	if !cfg.Rootless {
		s.spawner.oom.floor()
	}
	if err := enter(p.tasks); err != nil {
		return err
	}
	dropInit(kept)
	missing, err := confine(cfg.Rootless, cfg.Filter)
	if err != nil {
		return err
	}
	s.missing = append(s.missing, missing...)
	return nil
}
