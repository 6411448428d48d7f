package config

import (
	"fmt"
	"os"
	"strings"
)

// fileSuffix turns the name of a secret's variable into that of the one which
// names a file that holds it, so that no secret stands in an environment.
const fileSuffix = "_FILE"

// given is what the flag, the environment or a file says; "" for nothing.
func (st *setting) given(lookup func(string) (string, bool)) (string, error) {
	if st.flag != nil && st.flag.Changed {
		return st.flag.Value.String(), nil
	}
	v, _ := lookup(st.envName)
	if !st.secret {
		return v, nil
	}
	path, _ := lookup(st.envName + fileSuffix)
	switch {
	case path == "":
		return v, nil
	case v != "":
		return "", fmt.Errorf("%s and %[1]s%s are both set: keep one of them", st.envName, fileSuffix)
	}
	return st.read(path)
}

// read gives the secret that a file holds, without the space around it.
func (st *setting) read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s%s: %w", st.envName, fileSuffix, err)
	}
	v := strings.TrimSpace(string(data))
	if v == "" {
		return "", fmt.Errorf("%s%s: %s is empty", st.envName, fileSuffix, path)
	}
	return v, nil
}

// shownEnv is what the help text says of the variables.
func (st *setting) shownEnv() string {
	if !st.secret {
		return st.envName
	}
	return fmt.Sprintf("%s, or %[1]s%s: a file that holds it", st.envName, fileSuffix)
}
