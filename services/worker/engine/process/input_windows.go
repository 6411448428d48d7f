package process

import "os"

// Input gives a child's standard input.
func Input() *os.File { return os.Stdin }
