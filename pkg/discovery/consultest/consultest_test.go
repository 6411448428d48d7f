package consultest

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestAgent(t *testing.T) {
	a := Start(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(a.URL + "/v1/status/leader")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	a.Stop()
	a.Stop()
	_, err = client.Get(a.URL + "/v1/status/leader")
	assert.Error(t, err, "a stopped agent serves nobody")
}

func TestProgram(t *testing.T) {
	t.Setenv("IMAGEMILL_CONSUL", filepath.Join(t.TempDir(), "none"))
	_, err := find()
	require.ErrorIs(t, err, os.ErrNotExist)
	t.Setenv("IMAGEMILL_CONSUL", os.Args[0])
	path, err := find()
	require.NoError(t, err)
	assert.Equal(t, os.Args[0], path)
}

// A program that ends at once is reported with what it said.
func TestAgentThatEnds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "consul")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho no such luck\n"), 0o700))
	a, err := begin(program)
	require.NoError(t, err)
	t.Cleanup(a.Stop)
	assert.ErrorContains(t, a.await(t.Context()), "no such luck")
}
