package process

import "os"

// forbidden: there is no filter here.
func forbidden(*os.ProcessState) bool { return false }

// shot: an exit code does not tell who ended a process.
func shot(*os.ProcessState) bool { return false }
