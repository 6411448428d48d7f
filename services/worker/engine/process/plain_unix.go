//go:build unix

package process

import "syscall"

// plainOnly makes an open fail for a link, and not wait for a pipe's writer.
const plainOnly = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
