package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// resident is how many bytes c holds in memory, 0 if that is not known. The lock
// is held. The file stays open, because to open one of /proc costs more than to
// read it.
func (w *watch) resident(c *child) int64 {
	if w.statm == nil {
		f, err := os.Open(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
		if err != nil {
			return 0
		}
		w.statm = f
	}
	var line [128]byte
	n, _ := w.statm.ReadAt(line[:], 0)
	fields := bytes.Fields(line[:n])
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
