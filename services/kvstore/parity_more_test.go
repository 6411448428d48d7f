package kvstore

import (
	"fmt"
	"strings"
)

func session(name, body string) step {
	return step{method: "PUT", target: "/v1/session/create", body: body, keep: name}
}

func sessionCalls() []step {
	return []step{
		get("/v1/session/list"), session("one", ""), get("/v1/session/info/{one}"), get("/v1/session/list"),
		session("two", `{"Name":"n","TTL":"90s","Behavior":"delete","LockDelay":"5s"}`), get("/v1/session/info/{two}"),
		session("three", `{"LockDelay":"0s","Checks":[]}`), get("/v1/session/info/{three}"),
		session("four", `{"LockDelay":3,"TTL":"0s"}`), get("/v1/session/info/{four}"),
		session("five", `{"LockDelay":90000000000,"NodeChecks":[]}`), get("/v1/session/info/{five}"),
		session("six", `{"Node":"parity","NodeChecks":["serfHealth"],"ServiceChecks":[]}`), get("/v1/session/info/{six}"),
		session("seven", `{"lockdelay":"1500ms","name":"case","ttl":"24h","Unknown":1}`),
		session("seven", `{"lockdelay":"1500ms","name":"case","ttl":"24h"}`), get("/v1/session/info/{seven}"),
		session("eight", `{}`), get("/v1/session/info/{eight}"), session("nine", `null`), get("/v1/session/info/{nine}"),
		session("ten", `{"Checks":["serfHealth"]}`), get("/v1/session/info/{ten}"),
		session("eleven", `{"Checks":null,"NodeChecks":null}`), get("/v1/session/info/{eleven}"),
		session("twelve", `{"ID":"mine","CreateIndex":5,"ModifyIndex":6,"Name":"<&>"}`), get("/v1/session/info/{twelve}"),
		session("last", `{"LockDelay":-5,"Behavior":""}`), get("/v1/session/info/{last}"),
		get("/v1/session/node/parity"), get("/v1/session/node/PARITY"), get("/v1/session/node/elsewhere"), get("/v1/session/node/"),
		put("/v1/session/renew/{two}", ""), put("/v1/session/renew/{one}", ""), put("/v1/session/renew/{two}?index=x", ""),
		put("/v1/session/destroy/{two}", ""), get("/v1/session/info/{two}"), put("/v1/session/renew/{two}", ""),
		put("/v1/session/destroy/{two}", ""), get("/v1/session/list"), put("/v1/session/destroy/nobody", ""),
		get("/v1/session/info/nobody"), get("/v1/session/info/"), put("/v1/session/destroy/", ""), put("/v1/session/renew/", ""),
		put("/v1/session/renew/nobody", ""), put("/v1/session/renew/{one}/more", ""), get("/v1/session/info/1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5"),
		put("/v1/session/renew/1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5", ""), put("/v1/session/destroy/1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5", ""),
		get("/v1/kv/none"),
	}
}

func badSessionCalls() []step {
	var steps []step
	for _, body := range []string{
		"{", "[]", "1", `"x"`, "{}x", "{} {}", `{"LockDelay":"never"}`, `{"LockDelay":true}`, `{"LockDelay":[1]}`, `{"TTL":5}`, `{"TTL":"1ms"}`,
		`{"TTL":"24h1s"}`, `{"TTL":"24h"}`, `{"TTL":"-1s"}`, `{"TTL":"x"}`, `{"TTL":"10"}`, `{"Behavior":"keep"}`, `{"Behavior":1}`,
		`{"Node":"elsewhere"}`, `{"Node":""}`, `{"Node":"PARITY"}`, `{"Checks":["disk"]}`, `{"NodeChecks":["disk"]}`, `{"ServiceChecks":[{"ID":"x"}]}`,
		`{"Checks":["serfHealth","disk"]}`, `{"Name":null}`, `{"Name":5}`, `{"LockDelay":1.5}`, `{"LockDelay":null}`, `{"Foo":1}`, `{"Checks":"serfHealth"}`,
		"\x00", "\xff", " ", `{"Namespace":"default"}`, `{"Namespace":"x"}`, `{"Partition":"x"}`, `{"LockDelay":""}`, `{"LockDelay":"61s"}`, `{"LockDelay":"-1s"}`,
	} {
		st := put("/v1/session/create", body)
		if strings.Contains(body, `"Behavior":1`) || strings.Contains(body, `"Checks":"`) {
			st.differs = "the message names a Go type of Consul's own code"
		}
		steps = append(steps, st, get("/v1/session/list"))
	}
	return append(steps, put("/v1/session/create?dc=elsewhere", ""), put("/v1/session/destroy/x?dc=elsewhere", ""),
		step{method: "PUT", target: "/v1/session/create", body: `{"Name":"chunked"}`, chunked: true}, get("/v1/session/list"))
}

func lockCalls() []step {
	return []step{
		session("one", `{"LockDelay":"0s","Behavior":"release"}`), session("two", `{"LockDelay":"0s","Behavior":"delete"}`),
		session("slow", `{"LockDelay":"30s"}`),
		put("/v1/kv/l?acquire={one}", "a"), get("/v1/kv/l"), put("/v1/kv/l?acquire={one}", "a"), get("/v1/kv/l"),
		put("/v1/kv/l?acquire={one}&flags=3", "b"), get("/v1/kv/l"), put("/v1/kv/l?acquire={two}", "c"), get("/v1/kv/l"),
		put("/v1/kv/l?release={two}", "c"), get("/v1/kv/l"), put("/v1/kv/l", "d"), get("/v1/kv/l"),
		put("/v1/kv/l?release={one}", "e"), get("/v1/kv/l"), put("/v1/kv/l?release={one}", "f"), get("/v1/kv/l"),
		put("/v1/kv/l?acquire={two}", "g"), get("/v1/kv/l"), put("/v1/kv/l?cas={key:l}", "h"), get("/v1/kv/l"),
		put("/v1/kv/none?release={one}", "x"), get("/v1/kv/none"), put("/v1/kv/l?acquire={two}", "g"), get("/v1/kv/l"),
		put("/v1/kv/m?acquire={two}", "m"), put("/v1/session/destroy/{two}", ""), get("/v1/kv/l"), get("/v1/kv/m"), get("/v1/kv/?recurse"),
		put("/v1/kv/l?acquire={two}", "x"), put("/v1/kv/l?acquire={one}", "x"), get("/v1/kv/l"), put("/v1/session/destroy/{one}", ""), get("/v1/kv/l"),
		put("/v1/kv/s?acquire={slow}", "x"), put("/v1/session/destroy/{slow}", ""), get("/v1/kv/s"),
		session("next", `{"LockDelay":"0s"}`), put("/v1/kv/s?acquire={next}", "x"), get("/v1/kv/s"), put("/v1/kv/s", "plain"),
		put("/v1/txn", `[{"KV":{"Verb":"lock","Key":"s","Session":"{next}"}}]`), get("/v1/kv/s"),
		put("/v1/kv/other?acquire={next}", "x"), get("/v1/kv/other"), del("/v1/kv/other"), get("/v1/kv/other"),
		put("/v1/kv/other?acquire={next}", "x"), get("/v1/kv/other"), del("/v1/kv/?recurse"), put("/v1/session/destroy/{next}", ""),
		get("/v1/kv/other"), get("/v1/session/list"), get("/v1/kv/?keys"),
	}
}

func op(verb, key string, more ...string) string {
	return fmt.Sprintf(`{"KV":{"Verb":"%s","Key":"%s"%s}}`, verb, key, strings.Join(more, ""))
}

func txn(ops ...string) step { return put("/v1/txn", "["+strings.Join(ops, ",")+"]") }

const later = "get-or-empty is a verb of later Consuls, which the client knows"

func txnCalls() []step {
	const value = `,"Value":"dmFsdWU="`
	return []step{
		txn(), txn(op("get", "none")), txn(op("get-or-empty", "none")).unlike(later), txn(op("get-or-empty", "none", `,"Flags":3,"Session":"x","Index":9`)).unlike(later),
		txn(op("set", "k", value), op("get", "k")), get("/v1/kv/k"), txn(op("set", "k", value)), get("/v1/kv/k"),
		txn(op("set", "k", value, `,"Flags":9`), op("get", "k"), op("get-tree", "k"), op("set", "k/2", value), op("get-tree", "k")), txn(op("set", "k", value), op("get-tree", "")), get("/v1/kv/k"),
		txn(op("cas", "k", value, `,"Index":1`)), txn(op("cas", "k", value, `,"Index":{key:k}`)), txn(op("cas", "new", value, `,"Index":0`)),
		txn(op("cas", "new", value, `,"Index":0`)), get("/v1/kv/?recurse"), txn(op("cas", "new", `,"Index":{key:new}`)), get("/v1/kv/new"),
		txn(op("check-index", "k", `,"Index":1`)), txn(op("check-index", "k", `,"Index":{key:k}`)), txn(op("check-index", "none", `,"Index":1`)),
		txn(op("check-not-exists", "k")), txn(op("check-not-exists", "none")), txn(op("check-session", "none", `,"Session":"x"`)),
		txn(op("check-session", "k", `,"Session":"x"`)), txn(op("check-session", "k")),
		session("one", `{"LockDelay":"0s"}`), session("two", `{"LockDelay":"0s"}`),
		txn(op("lock", "l", value, `,"Session":"{one}"`)), get("/v1/kv/l"), txn(op("lock", "l", value, `,"Session":"{two}"`)),
		txn(op("lock", "l", value, `,"Session":"nobody"`)), txn(op("lock", "l", value)), txn(op("unlock", "l", value, `,"Session":"{two}"`)),
		txn(op("check-session", "l", `,"Session":"{one}"`)), txn(op("check-session", "l", `,"Session":"{two}"`)),
		txn(op("unlock", "l", value)), txn(op("unlock", "l", value, `,"Session":"{one}"`)), get("/v1/kv/l"), txn(op("unlock", "none", `,"Session":"{one}"`)),
		// All or nothing.
		txn(op("set", "roll", value), op("get", "none"), op("set", "back", value), op("check-not-exists", "k")), get("/v1/kv/?recurse"),
		txn(op("delete-tree", ""), op("set", "k", value), op("cas", "k", `,"Index":1`)), get("/v1/kv/?recurse"),
		txn(op("lock", "roll", `,"Session":"{one}"`), op("get", "none")), get("/v1/kv/roll"), put("/v1/kv/roll?acquire={two}", "mine"), get("/v1/kv/roll"),
		txn(op("delete", "k"), op("get", "k")), txn(op("delete", "none")), txn(op("delete-cas", "k", `,"Index":1`)), txn(op("delete-cas", "none", `,"Index":1`)),
		txn(op("delete-cas", "k", `,"Index":{key:k}`), op("check-not-exists", "k"), op("set", "k", value), op("get", "k")), get("/v1/kv/k"),
		txn(op("delete-tree", "k"), op("get-tree", "l")), get("/v1/kv/?recurse"), txn(op("get-tree", "none")), txn(op("delete-tree", "")), get("/v1/kv/?recurse"),
		txn(op("set", "a", value), op("set", "a", `,"Value":"dA=="`), op("get", "a"), op("delete", "a"), op("check-not-exists", "a")), get("/v1/kv/a"),
		txn(op("SET", "a", value)), txn(op("get-tree", "", `,"Value":"eA=="`)), txn(`{"KV":{"Verb":"set","Key":"nil","Value":null}}`), get("/v1/kv/nil"),
		txn(`{"kv":{"verb":"set","key":"lower","value":"eA=="}}`), get("/v1/kv/lower"), txn(op("set", "a\\u0000b", value)), get("/v1/kv/?keys"),
		txn(op("set", "a//b", value)), txn(op("get", "a//b")),
		put("/v1/txn?stale", "["+op("get", "a//b")+"]"), put("/v1/txn?consistent", "["+op("get", "a//b")+"]"),
	}
}

func badTxnCalls() []step {
	many := make([]string, 65)
	for i := range many {
		many[i] = op("get", "k")
	}
	var steps []step
	for _, body := range []string{
		"{", "", "{}", "null", "1", `[1]`, `["x"]`, `[null]`, `[{}]`, `[{"KV":null}]`, `[{"KV":{}}]`, `[{"KV":{"Verb":"set"}}]`, `[{"KV":{"Key":"k"}}]`,
		`[{"KV":{"Verb":"boil","Key":"k"}}]`, `[{"KV":{"Verb":"set","Key":"k","Value":"not base64"}}]`, `[{"KV":{"Verb":"set","Key":"k","Value":5}}]`,
		`[{"KV":{"Verb":"set","Key":"k","Value":"eA"}}]`, `[{"KV":{"Verb":"set","Key":"k","Flags":-1}}]`, `[{"KV":{"Verb":"set","Key":"k","Index":"1"}}]`,
		`[{"KV":{"Verb":5,"Key":"k"}}]`, `[{"Unknown":{}}]`, `[{"KV":{"Verb":"get","Key":"k","Foo":1}}]`, `[] x`, `[][]`, "[" + op("get", "k") + ",]",
		`[{"KV":{"Verb":"get","Key":"k"},"Node":{"Verb":"get"}}]`, "\xff", " ",
		`[{"KV":{"Verb":"get","Key":"k","Namespace":"default"}}]`, `[{"KV":{"Verb":"get-tree","Key":""}}]`, `[{"KV":{"Verb":"delete-tree","Key":""}}]`,
		`[{"KV":{"Verb":"get","Key":""}}]`, `[{"KV":{"Verb":"check-index","Key":""}}]`, `[{"KV":{"Verb":"boil","Key":"k"}},{"KV":{"Verb":"set","Key":"k"}}]`,
		`[{"KV":{"Verb":"set","Key":"k"}},{"KV":{"Verb":"boil","Key":"k"}}]`,
	} {
		st := put("/v1/txn", body)
		if body == "[null]" {
			st.differs = "Consul breaks off the connection; here it is a bad request"
		}
		if strings.Contains(body, "Node") {
			st.differs = "there is no catalogue here: refused whole"
		}
		steps = append(steps, st)
	}
	return append(steps, txn(many...), txn(many[1:]...), get("/v1/kv/?keys"), put("/v1/txn?dc=elsewhere", "[]"), put("/v1/txn?index=x", "[]"),
		put("/v1/txn?stale&consistent", "[]"), put("/v1/txn?stale&consistent", "["+op("set", "k")+"]"), step{method: "PUT", target: "/v1/txn", body: "[]", chunked: true})
}

// waiting is a query that waits from the last index on while steps are taken.
func waiting(target, wait string, while ...step) step {
	st := get(target + "index={index}&wait=" + wait)
	st.while = while
	return st
}

func waitingCalls() []step {
	const long, short = "2m", "100ms" // long: for a machine that stands still, too
	return []step{
		put("/v1/kv/w/1", "a"), put("/v1/kv/x", "x"), get("/v1/kv/w/1"),
		// What was asked for changes: the answer comes at once.
		waiting("/v1/kv/w/1?", long, put("/v1/kv/w/1", "b")), waiting("/v1/kv/w/1?", long, del("/v1/kv/w/1")),
		waiting("/v1/kv/w/1?", long, put("/v1/kv/w/1", "c")), get("/v1/kv/w/?recurse"),
		waiting("/v1/kv/w/?recurse&", long, put("/v1/kv/w/2", "b")), waiting("/v1/kv/w/?recurse&", long, del("/v1/kv/w/2")),
		waiting("/v1/kv/w/?keys&", long, put("/v1/kv/w/3", "b")), waiting("/v1/kv/w/?recurse&", long, del("/v1/kv/w/?recurse")),
		waiting("/v1/kv/w/?keys&", long, put("/v1/txn", "["+op("set", "w/4")+"]")),
		// Something else changes, or nothing: it lasts until the time is up.
		get("/v1/kv/x"), waiting("/v1/kv/x?", short), waiting("/v1/kv/x?raw&", short), waiting("/v1/kv/x?", short, put("/v1/kv/y", "1")),
		get("/v1/kv/x"), waiting("/v1/kv/x?", short, put("/v1/kv/x", "x")),
		get("/v1/kv/none"), waiting("/v1/kv/none?", short),
		get("/v1/kv/none"), waiting("/v1/kv/none?", long, put("/v1/kv/none", "now")),
		get("/v1/kv/w/?recurse"), waiting("/v1/kv/w/?recurse&", short, put("/v1/kv/y", "3")), waiting("/v1/kv/w/?keys&", short),
		get("/v1/kv/none/at/all"), put("/v1/kv/y", "5"),
		waiting("/v1/kv/none/at/all?", short).unlike("Consul answers a query for a missing key when anything has changed; here it waits for the key"),
		// An index that has passed is answered at once.
		get("/v1/kv/x?index=1&wait=2m"), get("/v1/kv/?recurse&index=1&wait=2m"), get("/v1/kv/?keys&index=2&wait=2m"),
		get("/v1/kv/never/?recurse"), waiting("/v1/kv/never/?recurse&", long, put("/v1/kv/never/1", "now")),
		// Sessions.
		get("/v1/session/list"), waiting("/v1/session/list?", long, session("one", "")), waiting("/v1/session/list?", long, put("/v1/session/destroy/{one}", "")),
		session("two", ""), get("/v1/session/info/{two}"), waiting("/v1/session/info/{two}?", long, put("/v1/session/destroy/{two}", "")),
		get("/v1/session/list"), waiting("/v1/session/list?", short, put("/v1/kv/y", "4")), waiting("/v1/session/node/parity?", short),
		// A lock that is taken and freed is a change.
		session("three", `{"LockDelay":"0s"}`), get("/v1/kv/x"), waiting("/v1/kv/x?", long, put("/v1/kv/x?acquire={three}", "x")),
		waiting("/v1/kv/x?", long, put("/v1/session/destroy/{three}", "")),
		{method: "GET", target: "/v1/kv/x?index=99999999&wait=3s",
			differs: "an index that this store has never reached is of a store that was wiped: answered at once, so that a watcher starts anew"},
	}
}

func consistencyCalls() []step {
	steps := []step{put("/v1/kv/k", "v")}
	for _, mode := range []string{"", "stale", "consistent", "stale=1", "leader", "cached", "max_stale=10s", "stale&max_stale=1s"} {
		for _, target := range []string{"/v1/kv/k?", "/v1/kv/none?", "/v1/kv/?recurse&", "/v1/kv/?keys&", "/v1/session/list?", "/v1/session/info/none?", "/v1/session/node/parity?"} {
			steps = append(steps, get(target+mode))
		}
	}
	return steps
}
