package kvstore

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestParityCalls replays one table of raw calls on a real Consul and on this
// store. What differs by intent says why; all else must be the same.
func TestParityCalls(t *testing.T) {
	for _, group := range []struct {
		name  string
		steps []step
	}{
		{"keys", keyCalls()}, {"lists", listCalls()}, {"cas", casCalls()}, {"delete", deleteCalls()},
		{"bad parameters", badCalls()}, {"paths", pathCalls()}, {"every byte", byteCalls()}, {"sizes", sizeCalls()},
		{"sessions", sessionCalls()}, {"bad sessions", badSessionCalls()}, {"locks", lockCalls()},
		{"transactions", txnCalls()}, {"bad transactions", badTxnCalls()}, {"waiting", waitingCalls()},
		{"consistency", consistencyCalls()}, {"methods", methodCalls()},
	} {
		t.Run(group.name, func(t *testing.T) {
			real, own := bothSides(t)
			compare(t, real, own, group.steps)
		})
	}
}

func get(target string) step       { return step{method: "GET", target: target} }
func put(target, body string) step { return step{method: "PUT", target: target, body: body} }
func del(target string) step       { return step{method: "DELETE", target: target} }

// unlike is the step with a reason why the answers differ.
func (s step) unlike(reason string) step {
	s.differs = reason
	return s
}

// deletedAbove is a fault of Consul's: whoever watches a/ does not hear of it.
const deletedAbove = "Consul's index of a prefix does not move when all keys of a shorter prefix are deleted"

func keyCalls() []step {
	return []step{
		get("/v1/kv/none"), get("/v1/kv/none?raw"), get("/v1/kv/?recurse"), get("/v1/kv/?keys"),
		put("/v1/kv/k", "one"), get("/v1/kv/k"), get("/v1/kv/k?raw"), get("/v1/kv/k?pretty"), get("/v1/kv/none"),
		put("/v1/kv/k", "one"), get("/v1/kv/k"),
		put("/v1/kv/k", "two"), get("/v1/kv/k"),
		put("/v1/kv/k?flags=42", "two"), get("/v1/kv/k"),
		put("/v1/kv/k?flags=18446744073709551615", "two"), get("/v1/kv/k"),
		put("/v1/kv/k", "two"), get("/v1/kv/k"),
		put("/v1/kv/empty", ""), get("/v1/kv/empty"), get("/v1/kv/empty?raw"),
		put("/v1/kv/binary", "\x00\xff\xfe<&>"), get("/v1/kv/binary"), get("/v1/kv/binary?raw"),
		put("/v1/kv/html<&>", "x"), get("/v1/kv/html<&>"),
		put("/v1/kv/k?unknown=1", "three"), get("/v1/kv/k?unknown"),
		put("/v1/kv/k?token=none", "x"), get("/v1/kv/k?filter=x"),
		get("/v1/kv/k?raw&recurse"), get("/v1/kv/k?raw&keys"), get("/v1/kv/k?keys&recurse"),
		put("/v1/kv/zip", strings.Repeat("squeeze ", 500)),
		{method: "GET", target: "/v1/kv/zip", header: "Accept-Encoding: gzip"},
		{method: "GET", target: "/v1/kv/zip?raw", header: "Accept-Encoding: gzip"},
		{method: "GET", target: "/v1/kv/zip", header: "Accept-Encoding: gzip;q=0"},
		{method: "GET", target: "/v1/kv/zip", header: "Accept-Encoding: br, *"},
		{method: "GET", target: "/v1/kv/k", header: "Accept-Encoding: gzip"},
		get("/v1/kv/zip"),
	}
}

func listCalls() []step {
	steps := []step{}
	for _, key := range []string{"a", "a/", "a/b", "a/b/c", "a/b/d", "a/x", "ab", "b/1", "é", "a/b.c"} {
		steps = append(steps, put("/v1/kv/"+url.PathEscape(key), key))
	}
	for _, target := range []string{
		"?recurse", "a?recurse", "a/?recurse", "a/b?recurse", "z?recurse", "a/b/?recurse", "b/1?recurse",
		"?keys", "a?keys", "a/?keys", "z?keys", "?keys&separator=/", "a?keys&separator=/", "a/?keys&separator=/",
		"a/b?keys&separator=/", "?keys&separator=", "?keys&separator=b", "a?keys&separator=b/",
		"?keys&seperator=/", "?keys&seperator=b&separator=/", //nolint:misspell // Consul's old spelling
		"%C3?recurse", "%C3?keys",
	} {
		steps = append(steps, get("/v1/kv/"+target))
	}
	return append(steps,
		// The index of a prefix moves on deletes, and does not fall.
		del("/v1/kv/a/b/c"), get("/v1/kv/a/?recurse"), get("/v1/kv/b/?recurse"), del("/v1/kv/a/b/d"), get("/v1/kv/a/b/?recurse"),
		get("/v1/kv/a/b/?keys"), del("/v1/kv/b/?recurse"), get("/v1/kv/b/?recurse"), get("/v1/kv/b/1?recurse"), get("/v1/kv/b/1"),
		get("/v1/kv/b?keys"), put("/v1/kv/b/2", "x"), get("/v1/kv/b?keys"), get("/v1/kv/b/3?recurse"), get("/v1/kv/zz?recurse"),
		del("/v1/kv/?recurse"), get("/v1/kv/?recurse"), get("/v1/kv/?keys"), get("/v1/kv/a"), get("/v1/kv/a?keys").unlike(deletedAbove),
	)
}

func casCalls() []step {
	return []step{
		put("/v1/kv/k?cas=1", "x"), get("/v1/kv/k"), put("/v1/kv/k?cas=0", "one"), get("/v1/kv/k"), put("/v1/kv/k?cas=0", "again"),
		put("/v1/kv/k?cas={key:k}", "two"), get("/v1/kv/k"), put("/v1/kv/k?cas={key:k}", "two"), get("/v1/kv/k"),
		put("/v1/kv/k?cas=1", "x"), put("/v1/kv/k?cas=18446744073709551615", "x"), put("/v1/kv/k?cas={key:k}&flags=7", "two"),
		get("/v1/kv/k"), del("/v1/kv/k?cas=1"), get("/v1/kv/k"), del("/v1/kv/k?cas={key:k}"), get("/v1/kv/k"),
		del("/v1/kv/k?cas=5"), del("/v1/kv/k?cas=0"), put("/v1/kv/k?cas=0", "new"), get("/v1/kv/k"), del("/v1/kv/k?cas=0"), get("/v1/kv/k"),
	}
}

func deleteCalls() []step {
	return []step{
		del("/v1/kv/none"), del("/v1/kv/none?recurse"), put("/v1/kv/d/1", "x"), put("/v1/kv/d/2", "x"), put("/v1/kv/e", "x"),
		del("/v1/kv/d"), get("/v1/kv/?keys"), del("/v1/kv/d/1"), get("/v1/kv/d/1"), get("/v1/kv/d/?recurse"),
		del("/v1/kv/d?recurse"), get("/v1/kv/?keys"), get("/v1/kv/d/?recurse").unlike(deletedAbove), del("/v1/kv/?recurse"), get("/v1/kv/?recurse"),
		del("/v1/kv/?recurse"), get("/v1/kv/?recurse"), put("/v1/kv/d/1", "y"), get("/v1/kv/d/1"),
	}
}

func badCalls() []step {
	steps := []step{put("/v1/kv/k", "v")}
	for _, q := range []string{
		"index=x", "index=-1", "index=1.5", "index=18446744073709551616", "index=", "index=0", "wait=x", "wait=10", "wait=-1s", "wait=",
		"wait=1s", "stale&consistent", "max_stale=x", "max_stale=1s", "max_stale=1s&consistent", "cached", "leader", "dc=elsewhere",
		"dc=", "dc=dc1", "index=x&wait=x", "cached&consistent", "consistent=false", "stale=0",
	} {
		steps = append(steps, get("/v1/kv/k?"+q), get("/v1/session/list?"+q), get("/v1/kv/?recurse&"+q), get("/v1/kv/?keys&"+q))
	}
	for _, q := range []string{
		"cas=x", "cas=", "cas", "cas=-1", "cas=1.5", "cas=18446744073709551616", "cas=0x1", "cas=+1", "flags=x", "flags=", "flags=-1",
		"flags=18446744073709551616", "cas=1&acquire=s", "acquire=s&release=s", "cas=1&acquire=s&release=s&flags=x", "acquire=nobody",
		"acquire=", "acquire", "release=nobody", "release=", "release", "dc=elsewhere", "index=x", "wait=x", "stale&consistent",
		"acquire=1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5", "release=1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5", "cas=1&cas=2", "recurse",
	} {
		steps = append(steps, put("/v1/kv/k?"+q, "w"), get("/v1/kv/k"))
	}
	for _, q := range []string{"cas=x", "cas=", "recurse&cas=1", "cas=-1", "dc=elsewhere", "index=x", "acquire=x", "flags=x"} {
		steps = append(steps, del("/v1/kv/k?"+q), get("/v1/kv/k"))
	}
	for _, h := range []string{"no-cache", "max-age=x", "max-age=0", "stale-if-error=x", "must-revalidate", "max-age=-1, public"} {
		steps = append(steps, step{method: "GET", target: "/v1/kv/k", header: "Cache-Control: " + h})
	}
	return append(steps, get("/v1/kv/k?%zz"), get("/v1/kv/k?a;b"), put("/v1/kv/k?%zz", "x"), get("/v1/kv/k"))
}

func pathCalls() []step {
	steps := []step{
		get("/v1/kv"), put("/v1/kv", "v"), get("/v1/kv/"), put("/v1/kv/", "v"), del("/v1/kv/"), del("/v1/kv"), get("/v1/kv?recurse"),
		get("/v1/session"), get("/v1/session/list/"), get("/v1/session/info"), put("/v1/session/renew", ""), get("/v1/txn/"),
		get("/v1/status/leader/"), get("/v2/kv/k"), get("/v1/nothing"), get("/v1/kv/../status/peers"),
	}
	for _, key := range []string{
		"a//b", "a/../b", "./a", "/lead", "trail/", "//", "a/./b", "a/..", ".", "..", "a b", "a+b", "a%2Fb", "a%2F%2Fb", "%2Flead",
		"a%2F..%2Fb", "%252F", "a%3Fb%23c", "%E7%95%AB", "%20", "+", "a;b", "a:b@c", "*", "a|b", "~a", "%7Ea", "%41",
	} {
		steps = append(steps, put("/v1/kv/"+key, "v"), get("/v1/kv/"+key), get("/v1/kv/"+key+"?raw&x=1"), del("/v1/kv/"+key))
	}
	return append(steps, get("/v1/kv/?recurse"))
}

func byteCalls() (steps []step) {
	for b := range 256 {
		steps = append(steps, put(fmt.Sprintf("/v1/kv/x%%%02Xy", b), "v"), get(fmt.Sprintf("/v1/kv/x%%%02Xy", b)),
			put(fmt.Sprintf("/v1/kv/%%%02x", b), "v"), get(fmt.Sprintf("/v1/kv/x%%%02Xy?raw", b)))
	}
	return append(steps, get("/v1/kv/?keys"), get("/v1/kv/?recurse"))
}

func sizeCalls() []step {
	fits := strings.Repeat("x", MaxValue)
	return []step{
		put("/v1/kv/fits", fits), get("/v1/kv/fits?raw"), put("/v1/kv/over", fits+"x"), get("/v1/kv/over"),
		{method: "PUT", target: "/v1/kv/over", body: fits + "x", chunked: true,
			differs: "Consul takes values of any size when their length is not announced; the limit holds here"},
		{method: "PUT", target: "/v1/kv/chunked", body: fits, chunked: true}, get("/v1/kv/chunked?raw"),
		put("/v1/kv/"+strings.Repeat("k", 4000), "v"), get("/v1/kv/kkkk?keys"), put("/v1/txn", strings.Repeat(" ", MaxValue+1)),
		{method: "PUT", target: "/v1/txn", body: "[" + strings.Repeat(" ", MaxValue+1), chunked: true},
		put("/v1/kv/over?cas=0", fits+"x"), put("/v1/kv/over?acquire=nobody", fits+"x"), put("/v1/kv/over?cas=x", fits+"x"),
	}
}

func methodCalls() (steps []step) {
	for _, target := range []string{
		"/v1/kv/k", "/v1/txn", "/v1/session/create", "/v1/session/destroy/x", "/v1/session/renew/x", "/v1/session/info/x",
		"/v1/session/node/x", "/v1/session/list", "/v1/status/leader", "/v1/status/peers", "/v1/agent/self", "/v1/agent/members",
	} {
		for _, method := range []string{"OPTIONS", "PATCH", "HEAD", "POST", "DELETE", "GET", "PUT", "BREW"} {
			if target == "/v1/agent/self" && method == "GET" || strings.HasPrefix(target, "/v1/status") && method == "GET" ||
				target == "/v1/agent/members" && method == "GET" || target == "/v1/session/create" && method == "PUT" {
				continue // shown elsewhere: they tell of the node itself
			}
			if target == "/v1/kv/k" && method == "POST" {
				continue
			}
			steps = append(steps, step{method: method, target: target})
		}
	}
	return append(steps, step{method: "POST", target: "/v1/kv/k", body: "v", differs: "POST writes as PUT does: kvstore promises it"})
}
