package discovery_test

import (
	"os"
	"testing"

	"imagemill/internal/leaktest"
)

// TestMain lets this test program be one of the instances of its own tests.
func TestMain(m *testing.M) {
	if os.Getenv(instanceEnv) != "" {
		beInstance()
		return
	}
	leaktest.Main(m)
}
