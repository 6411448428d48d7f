package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is what a control group held at one moment, in bytes.
type memory struct {
	resident int64 // of all processes, without the pages of files
	peak     int64 // the most that was counted, with the pages of files
	kills    int64 // processes that the kernel killed for want of memory
	worker   int64 // resident, of the largest process by its program's name
	engines  []int64
}

// String tells it in MiB.
func (m memory) String() string {
	engines := make([]string, len(m.engines))
	for i, e := range m.engines {
		engines[i] = strconv.FormatInt(e>>20, 10)
	}
	return fmt.Sprintf("resident %d MiB (worker %d, engines %s), most counted %d MiB, out-of-memory kills %d",
		m.resident>>20, m.worker>>20, strings.Join(engines, " "), m.peak>>20, m.kills)
}

// measure reads a control group of version 2 or 1.
func measure(group string) (m memory, err error) {
	file := func(name string) []byte {
		b, ferr := os.ReadFile(filepath.Join(group, name))
		if ferr != nil && err == nil {
			err = ferr
		}
		return b
	}
	number := func(b []byte) int64 {
		n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		return n
	}
	stat := file("memory.stat")
	if _, serr := os.Stat(filepath.Join(group, "memory.events")); serr == nil {
		m.resident = field(stat, "anon") + field(stat, "file_mapped")
		m.kills = field(file("memory.events"), "oom_kill")
		m.peak = number(file("memory.peak"))
	} else {
		m.resident = field(stat, "total_rss") + field(stat, "total_mapped_file")
		m.kills = field(file("memory.oom_control"), "oom_kill")
		m.peak = number(file("memory.max_usage_in_bytes"))
	}
	for id := range strings.FieldsSeq(string(file("cgroup.procs"))) {
		status, _ := os.ReadFile(filepath.Join("/proc", id, "status"))
		line, _ := os.ReadFile(filepath.Join("/proc", id, "cmdline"))
		resident := field(bytes.ReplaceAll(status, []byte(":"), []byte(" ")), "VmRSS") << 10
		switch arguments := bytes.Split(line, []byte{0}); {
		case len(arguments) > 1 && string(arguments[1]) == "engine":
			m.engines = append(m.engines, resident)
		case len(arguments) > 1:
			m.worker = max(m.worker, resident)
		}
	}
	return m, err
}

// field is the number behind a name at the beginning of a line.
func field(b []byte, name string) int64 {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
