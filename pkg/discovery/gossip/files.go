package gossip

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files in Config.Dir.
const (
	nameFile     = "name"
	membersFile  = "members" // Serf's
	peersFile    = "peers"
	settingsFile = "settings.json"
)

// maxName is the length of a member's name: that of the config, "-", 12 digits.
const maxName = 32 + 1 + 12

// newName makes a name that no other member has.
func (r *Registry) newName() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // it never fails: the process would end instead
	return r.cfg.Name + "-" + hex.EncodeToString(b)
}

// loadName gives the member the name that it had before, or a new one. With a port
// of choice it is always new: the old name stands for another address, and the
// others would dispute it for as long as they think that it is there.
func (r *Registry) loadName() (string, error) {
	if r.cfg.Dir == "" {
		return r.newName(), nil
	}
	if err := os.MkdirAll(r.cfg.Dir, 0o750); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	if _, port, err := r.cfg.bind(); err != nil || port == 0 {
		return r.renew()
	}
	text, err := os.ReadFile(filepath.Join(r.cfg.Dir, nameFile))
	name := strings.TrimSpace(string(text))
	if err == nil && len(name) <= maxName && strings.HasPrefix(name, r.cfg.Name+"-") && memberChars(name) {
		return name, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read name: %w", err)
	}
	return r.renew()
}

// memberChars tells whether Serf takes a name.
func memberChars(name string) bool {
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// renew makes a new name and keeps it. The list of members goes: it says where
// this one was under its old name, which is where Serf would join first, itself.
func (r *Registry) renew() (string, error) {
	name := r.newName()
	if r.cfg.Dir == "" {
		return name, nil
	}
	if err := os.Remove(filepath.Join(r.cfg.Dir, membersFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("forget members: %w", err)
	}
	if err := replace(filepath.Join(r.cfg.Dir, nameFile), []byte(name+"\n")); err != nil {
		return "", fmt.Errorf("keep name: %w", err)
	}
	return name, nil
}

// replace writes a file by one rename, synced: after a crash there is all of the
// old one or all of the new one.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
