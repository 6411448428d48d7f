package process

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCollectorsOwnCrashIsForWantOfMemory(t *testing.T) {
	const head = "SIGSEGV: segmentation violation\nPC=0x43673d m=0 sigcode=1 addr="
	for text, want := range map[string]bool{
		head + "0x0\n\ngoroutine 0 [idle]:\nruntime.(*spanQueue).tryDrain(0x1)\n\t/go/mgcmark.go:520":                            true,
		head + "0x8\n\ngoroutine 0 [idle]:\nruntime.(*spanQueue).tryDrain(0x1)\n\t/go/mgcmark.go:520":                            false,
		head + "0x0\n\ngoroutine 0 [idle]:\nmain.work(0x1)\n\t/a.go:1\nruntime.(*spanQueue).tryDrain(0x1)\n\t/go/mgcmark.go:520": false,
	} {
		var last tail
		_, err := last.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, last.outOfMemory(), text)
	}
}
