package serve

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// wsaAddrInUse is what Windows says of a taken port; no other system has it.
const wsaAddrInUse = syscall.Errno(10048)

// ListenSetting is the setting that says where a service listens.
func ListenSetting(service string) string {
	return "IMAGEMILL_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_LISTEN"
}

// ListenError explains why an address could not be listened on: it names the
// service, the setting (see [ListenSetting]) and the address, and says what to
// do. It wraps err.
func ListenError(service, setting, addr string, err error) error {
	var dns *net.DNSError
	why := "choose an address of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, wsaAddrInUse):
		why = "another program has this port: stop it, or choose another port (0 picks a free one)"
	case errors.Is(err, syscall.EACCES):
		why = "this user may not open it: choose a port above 1023"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine has no such address: choose one that it has, 127.0.0.1 for itself alone or 0.0.0.0 for all"
	case errors.As(err, &dns):
		why = "no such host: choose an address of this machine"
	}
	return fmt.Errorf("%s: %s: cannot listen on %s: %s: %w", service, setting, addr, why, err)
}
