// Package s3test runs a real S3 server for tests: a Versity gateway on a free port
// of loopback over a temporary folder, stopped when the test ends.
//
// The program is looked for under the path in IMAGEMILL_VERSITYGW, and then as
// bin/versitygw in the module's root, where "make versitygw" builds it. A test
// without it is skipped, with the reason, but fails where IMAGEMILL_CI is 1.
package s3test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The server's one user, and the region that it thinks it is in.
const (
	accessKey = "tester"
	secretKey = "a-secret-of-tests-only"
	region    = "us-east-1"
)

// startTime bounds how long a server may take until it answers.
const startTime = 2 * time.Minute

// Server is one gateway, which may be killed and started again.
type Server struct {
	// Dir holds the buckets, as folders.
	Dir string
	// Addr is where it listens, in all its lives.
	Addr string

	program string
	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{}
	log     lockedBuffer
	buckets int
}

// Program gives the path of versitygw; without it, it ends the test.
func Program(t testing.TB) string {
	t.Helper()
	path, err := find()
	if err == nil {
		return path
	}
	if os.Getenv("IMAGEMILL_CI") == "1" {
		t.Fatalf("the real S3 server is missing: %v", err)
	}
	t.Skipf("the real S3 server is missing, make versitygw builds it: %v", err)
	return ""
}

func find() (string, error) {
	if path := os.Getenv("IMAGEMILL_VERSITYGW"); path != "" {
		_, err := os.Stat(path)
		return path, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(dir, "bin", "versitygw")
			_, err := os.Stat(path)
			return path, err
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", fmt.Errorf("no go.mod above the working folder")
		}
		dir = above
	}
}

// Credentials sets those of the server in the environment, where the client looks,
// and keeps those of the machine out.
func Credentials(t testing.TB) {
	t.Helper()
	for _, kv := range Environ() {
		name, value, _ := bytes.Cut([]byte(kv), []byte("="))
		t.Setenv(string(name), string(value))
	}
}

// Environ is what Credentials sets, for child processes.
func Environ() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=", "AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Start runs a server until the test ends. It needs a file system with extended
// attributes for the temporary folder.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{program: Program(t), Dir: t.TempDir(), Addr: freeAddress(t)}
	s.Restart(t)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("versitygw said:\n%s", s.log.tail(4000))
		}
	})
	return s
}

// freeAddress finds a port below those that the system gives out by itself, so that
// a server that is started again finds it free.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 200 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err == nil && ln.Close() == nil {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// Restart starts the server where it does not run, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s.program, "--port", s.Addr, "--access", accessKey, "--secret", secretKey, "--region", region,
		"--keep-alive", "--quiet", "posix", s.Dir)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start versitygw: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended, nobody asks
	}()
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	s.await(t, done)
}

// await waits until the server answers, whatever it says.
func (s *Server) await(t testing.TB, done <-chan struct{}) {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	for {
		resp, err := hc.Get("http://" + s.Addr + "/")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-done:
			t.Fatalf("versitygw ended at its start:\n%s", s.log.tail(4000))
		case <-deadline.C:
			t.Fatalf("versitygw does not answer: %v\n%s", err, s.log.tail(4000))
		}
	}
}

// Kill ends the server as a crash does.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Kill() // it may have ended
	<-done
}

// Bucket makes a new bucket and gives its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.buckets++
	name := fmt.Sprintf("bucket-%d", s.buckets)
	s.mu.Unlock()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o750); err != nil {
		t.Fatal(err)
	}
	return name
}

// URL is how a store is told of a bucket.
func (s *Server) URL(bucket string) string { return URLAt(s.Addr, bucket) }

// URLAt is URL for another address, such as that of a proxy.
func URLAt(addr, bucket string) string {
	return "s3://" + bucket + "?region=" + region + "&s3ForcePathStyle=true&endpoint=http://" + addr
}

// lockedBuffer collects what the server says.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.buf.Bytes()
	return string(s[max(0, len(s)-n):])
}
