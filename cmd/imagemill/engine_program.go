package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"imagemill/cmd/internal/engines"
	"imagemill/internal/release"
	"imagemill/services/worker"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/process"
)

// enginePool gives the settings of the pool of engines that cfg asks for, and what
// these can do, which another program than this one is asked after. Its error says
// what is wrong with that program, its version included, and which setting chose it.
func enginePool(cfg worker.Config) (process.Config, engine.Abilities, error) {
	self, err := os.Executable()
	if err != nil {
		return process.Config{}, engine.Abilities{}, fmt.Errorf("find own program for engines: %w", err)
	}
	program := engineProgram(cfg, self)
	command := []string{program, "engine", "--engine", cfg.Engine}
	if len(cfg.Inputs) > 0 {
		command = append(command, "--inputs", strings.Join(cfg.Inputs, ","))
	}
	pool := cfg.EnginePool(command...)
	pool.Version = release.Version()
	if program == self {
		_, can, err := engines.New(cfg.Engine, cfg.Inputs...)
		return pool, can, inSetting("IMAGEMILL_WORKER_ENGINE", err)
	}
	about, err := process.Ask(pool)
	if err == nil && about.Abilities.Engine == "" {
		err = errors.New(program + " does not say what it can do")
	}
	return pool, about.Abilities, inSetting("IMAGEMILL_WORKER_ENGINE_PROGRAM", err)
}

// engineProgram is the program that engines run: the one that is set, else this
// one where it can do what is asked for, else imagemill-engine beside it, if there
// is such a file.
func engineProgram(cfg worker.Config, self string) string {
	if cfg.Program != "" {
		return cfg.Program
	}
	if cfg.Engine == worker.EngineImaging || engines.Native {
		return self
	}
	beside := filepath.Join(filepath.Dir(self), "imagemill-engine")
	if runtime.GOOS == "windows" {
		beside += ".exe"
	}
	if stat, err := os.Stat(beside); err == nil && stat.Mode().IsRegular() {
		return beside
	}
	return self
}

func inSetting(name string, err error) error {
	if err != nil {
		return fmt.Errorf("worker: %s: %w", name, err)
	}
	return nil
}
