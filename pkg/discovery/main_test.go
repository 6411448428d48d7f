package discovery_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this test program be one of the instances of its own tests.
func TestMain(m *testing.M) {
	if os.Getenv(instanceEnv) != "" {
		beInstance()
		return
	}
	goleak.VerifyTestMain(m)
}
