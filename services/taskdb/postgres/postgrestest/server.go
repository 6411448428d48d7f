//go:build unix

// Package postgrestest starts a real PostgreSQL in a temporary folder.
//
// It promises a server of the test's own, on a free loopback port and a socket,
// with a database of its own for each test, that can be killed, stopped and
// started again. Without PostgreSQL tests are skipped, or fail when IMAGEMILL_CI
// is 1. It touches no other server.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"imagemill/internal/volume"
)

// Shared is the one server of a test package, started when the first test asks, with its
// files in memory where there is room. The zero value is ready; end it with Stop from
// TestMain.
type Shared struct {
	// OnDisk keeps its files out of memory, for what measures.
	OnDisk bool

	once   sync.Once
	server *Server
	err    error

	filling sync.Once
	filled  string
}

// Database gives the address of a new, empty database.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	return s.started(t).Database(t)
}

func (s *Shared) started(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() {
		if s.OnDisk {
			s.server, s.err = start("")
			return
		}
		s.server, s.err = start(memory(), "max_wal_size=256MB")
	})
	need(t, s.err)
	return s.server
}

// Copy gives the address of a new database with what fill has put into the first one,
// which is filled once for all tests. Fill has to leave it before it returns.
func (s *Shared) Copy(t testing.TB, fill func(database string)) string {
	t.Helper()
	server := s.started(t)
	s.filling.Do(func() {
		name := server.create(t, "")
		fill(server.URL(name))
		// Who has left may still be there for a moment, and nobody may while it is copied.
		require.Eventually(t, func() bool { return server.alone(name) }, time.Minute, 10*time.Millisecond)
		s.filled = name
	})
	require.NotEmpty(t, s.filled, "the first database could not be filled")
	name := server.create(t, " TEMPLATE "+s.filled)
	t.Cleanup(func() { server.drop(name) })
	return server.URL(name)
}

// Stop ends the server, if there is one.
func (s *Shared) Stop() {
	if s.server != nil {
		s.server.end()
	}
}

// Server is a PostgreSQL.
type Server struct {
	bin, dir string
	port     int
	had      bool                // the port: others have its address
	owner    *syscall.Credential // nil: ourselves
	extra    []string
	cmd      *exec.Cmd
	ended    chan error // of cmd; closed when it has
	log      *os.File
}

// errNone says that no PostgreSQL is installed.
var errNone = errors.New("PostgreSQL is not here: install it (apt-get install postgresql), or put initdb into PATH")

// need skips a test without PostgreSQL.
func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNone) && os.Getenv("IMAGEMILL_CI") != "1" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// Start gives a server that ends with the test; each option is one of its settings,
// as "name=value".
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	return startIn(t, "", options...)
}

// StartInMemory is Start with the files in memory where there is room, for tests that are
// not about the disk: on a busy one each commit may take a second.
func StartInMemory(t testing.TB, options ...string) *Server {
	t.Helper()
	return startIn(t, memory(), options...)
}

func startIn(t testing.TB, dir string, options ...string) *Server {
	t.Helper()
	s, err := start(dir, options...)
	need(t, err)
	t.Cleanup(s.end)
	return s
}

// memory is the folder of a file system in memory with much room, or "".
func memory() string {
	const dir, room = "/dev/shm", 4 << 30
	if free, err := volume.FreeBytes(dir); err != nil || free < room {
		return ""
	}
	return dir
}

func start(dir string, options ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, extra: options}
	if s.dir, err = os.MkdirTemp(dir, "pg"); err != nil {
		return nil, err
	}
	if err = s.prepare(); err == nil {
		err = s.Launch()
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// find gives the folder of the programs.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", errNone
	}
	return filepath.Dir(slices.Max(all)), nil
}

// prepare makes the files of the server, as a user who is not root, as which it
// refuses to run.
func (s *Server) prepare() error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("nobody")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	var err error
	if s.log, err = os.CreateTemp("", "pglog"); err != nil {
		return err
	}
	out, err := s.command("initdb", "--no-sync", "--auth=trust", "--username=imagemill", "--encoding=UTF8", "--locale=C.UTF-8", "-D", s.data()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

// freePort finds a port that was free a moment ago. It lies below those that systems
// give to outgoing connections: a server that is started anew must find it free again.
func freePort() int {
	for {
		port := 10_000 + rand.IntN(20_000)
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = ln.Close()
			return port
		}
	}
}

// launchWithin bounds a start, with the recovery of what was killed.
const launchWithin = 3 * time.Minute

// Launch starts the server, also after it was killed, and waits until it answers. Until
// it has answered once, a port that was taken meanwhile is replaced.
func (s *Server) Launch() error {
	var err error
	for end := time.Now().Add(launchWithin); time.Now().Before(end); {
		if !s.had {
			s.port = freePort()
		}
		args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60",
			"-c", "dynamic_shared_memory_type=mmap"} // which goes with the folder, also of one that was killed
		for _, option := range s.extra {
			args = append(args, "-c", option)
		}
		s.cmd = s.command("postgres", args...)
		s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
		if err = s.cmd.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func(cmd *exec.Cmd) {
			defer close(ended)
			ended <- cmd.Wait()
		}(s.cmd)
		s.ended = ended
		if err = s.answers(end); err == nil {
			s.had = true
			return nil
		}
		<-time.After(50 * time.Millisecond) // what was killed may still hold its memory
	}
	said, _ := os.ReadFile(s.log.Name())
	return fmt.Errorf("start PostgreSQL: %w: %s", err, said)
}

// answers waits until the server takes connections, or has ended. It asks over the
// socket, which no other server has, and which is made after the port was had.
func (s *Server) answers(end time.Time) error {
	for time.Now().Before(end) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		conn, err := pgx.Connect(ctx, s.Socket("postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			cancel()
			return nil
		}
		cancel()
		select {
		case err := <-s.ended:
			return fmt.Errorf("it has ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}

// URL is the address of a database, over TCP. It leaves much time for connecting to a
// server that a busy machine lets stand.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://imagemill:unused@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=60", s.port, database)
}

// Socket is the same over the server's socket.
func (s *Server) Socket(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {"imagemill"}}
	return "postgres:///" + database + "?" + q.Encode()
}

// number makes names of databases.
var number atomic.Int64

// Database makes a new, empty database and gives its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.URL(s.create(t, ""))
}

// create makes a new database and gives its name.
func (s *Server) create(t testing.TB, options string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", number.Add(1))
	s.Exec(t, "CREATE DATABASE "+name+options)
	return name
}

// drop removes a database that is not needed any more; what fails goes with the server.
func (s *Server) drop(database string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	_, _ = conn.Exec(ctx, "DROP DATABASE "+database+" WITH (FORCE)")
}

// alone reports whether nobody is in a database.
func (s *Server) alone(database string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	var others int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database).Scan(&others)
	return err == nil && others == 0
}

// Exec runs statements as the owner of everything.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		_, err = conn.Exec(ctx, statement)
		require.NoError(t, err, statement)
	}
}

// all gives the processes of the server, itself first.
func (s *Server) all() []int {
	pids := []int{s.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		text := string(b)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) > 1 && fields[1] == strconv.Itoa(s.cmd.Process.Pid) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Kill ends all its processes at once, as a crash of the machine's memory would.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Freeze stops all its processes: connections stay, and nobody answers. Thaw lets
// them go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// Restart ends it as an operator would, who does not wait for clients, and starts it.
func (s *Server) Restart() error {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.ended: // or else it would be the old one that answers
	case <-time.After(launchWithin):
		return errors.New("stop PostgreSQL: it goes on")
	}
	return s.Launch()
}

func (s *Server) signal(sig syscall.Signal) {
	for _, pid := range s.all() {
		_ = syscall.Kill(pid, sig)
	}
}

func (s *Server) end() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.Kill()
		select {
		case <-s.ended:
		case <-time.After(launchWithin):
		}
	}
	if s.log != nil {
		_ = s.log.Close()
		_ = os.Remove(s.log.Name())
	}
	for range 100 { // what is just ending may still write
		if os.RemoveAll(s.dir) == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}
