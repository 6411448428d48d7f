//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/cmd/internal/engines"
	"imagemill/internal/release"
	"imagemill/services/worker"
	"imagemill/services/worker/engine/imaging"
)

// script is a program that runs a shell's text.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "imagemill-engine")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

func TestTheProgramOfEngines(t *testing.T) {
	beside := script(t, "exit 1")
	self := filepath.Join(filepath.Dir(beside), "imagemill")
	alone := filepath.Join(t.TempDir(), "imagemill")
	auto := beside
	if engines.Native {
		auto = self
	}
	for _, c := range []struct{ kind, set, self, want string }{
		{worker.EngineAuto, "", self, auto},
		{worker.EngineNative, "", self, auto},
		{worker.EngineImaging, "", self, self},
		{worker.EngineAuto, "", alone, alone},
		{worker.EngineNative, "", alone, alone},
		{worker.EngineImaging, "/x", self, "/x"},
		{worker.EngineAuto, "/x", self, "/x"},
	} {
		cfg := worker.DefaultConfig()
		cfg.Engine, cfg.Program = c.kind, c.set
		assert.Equal(t, c.want, engineProgram(cfg, c.self), "%+v", c)
	}
}

func TestAnotherProgramIsAskedWhatItCanDo(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cfg := worker.DefaultConfig()
	cfg.Scratch, cfg.Engine = t.TempDir(), worker.EngineImaging
	cfg.Program = script(t, fmt.Sprintf(`%s=1 exec %q "$@"`, programEnv, self))
	pool, can, err := enginePool(cfg)
	require.NoError(t, err)
	assert.Equal(t, []string{cfg.Program, "engine", "--engine", worker.EngineImaging}, pool.Command)
	assert.Equal(t, release.Version(), pool.Version)
	assert.Equal(t, imaging.Abilities(), can)
}

func TestAProgramThatCannotBeTheEngineIsSaidPlainly(t *testing.T) {
	for text, says := range map[string]string{
		"echo libvips.so.42: cannot open shared object file >&2; exit 127": "libvips.so.42: cannot open shared object file",
		`exec true`: "no greeting",
	} {
		program := script(t, text)
		err := startFails(t, "worker", "--listen", "127.0.0.1:0", "--discovery", "consul://127.0.0.1:1", "--scratch", t.TempDir(), "--engine-program", program)
		require.ErrorContains(t, err, "worker: IMAGEMILL_WORKER_ENGINE_PROGRAM: start engine")
		require.ErrorContains(t, err, says)
	}
	err := startFails(t, "worker", "--listen", "127.0.0.1:0", "--discovery", "consul://127.0.0.1:1", "--scratch", t.TempDir(), "--engine-program", "/nowhere/imagemill-engine")
	require.ErrorContains(t, err, "/nowhere/imagemill-engine: no such file")
	if !engines.Native {
		err := startFails(t, "worker", "--listen", "127.0.0.1:0", "--discovery", "consul://127.0.0.1:1", "--scratch", t.TempDir(), "--engine", "native")
		require.ErrorContains(t, err, "worker: IMAGEMILL_WORKER_ENGINE: --engine: native is not part of this program")
	}
}
