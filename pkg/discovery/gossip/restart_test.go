package gossip_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
)

// kept is a config with a folder.
func kept(dir string, join ...string) gossip.Config {
	cfg := config(join...)
	cfg.Dir = dir
	return cfg
}

// fixed gives a config a port that was free a moment ago. It is below those that
// systems give to who wants any, as others do all the time.
func fixed(t *testing.T, cfg gossip.Config) gossip.Config {
	for {
		cfg.Bind = fmt.Sprint("127.0.0.1:", 10000+rand.IntN(20000))
		tcp, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", cfg.Bind)
		if err != nil {
			continue
		}
		udp, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", cfg.Bind)
		require.NoError(t, tcp.Close())
		if err != nil {
			continue
		}
		require.NoError(t, udp.Close())
		return cfg
	}
}

// A full restart keeps the settings, the names, and who the others are: nobody
// needs join addresses to find them again.
func TestARestartKeepsSettingsAndMembers(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	var nodes []*node
	for i, dir := range dirs {
		cfg := fixed(t, kept(dir))
		if i > 0 {
			cfg.Join = []string{nodes[0].address}
		}
		nodes = append(nodes, start(t, options{cfg: cfg}))
	}
	eventually(t, patience, everybody(nodes, seeing(3)), "all know each other")
	require.NoError(t, nodes[1].PutSetting(t.Context(), "log/level", "debug", "ada"))
	require.NoError(t, nodes[2].PutSetting(t.Context(), "log/other", "x", "ada"))
	eventually(t, patience, everybody(nodes, generation(2)), "all have the settings")
	var names, addresses []string
	for _, n := range nodes {
		names, addresses = append(names, n.MemberName()), append(addresses, n.address)
	}
	for _, n := range nodes {
		n.stop()
	}

	for i, dir := range dirs {
		cfg := kept(dir)
		cfg.Bind = addresses[i]
		nodes[i] = start(t, options{cfg: cfg})
		assert.Equal(t, names[i], nodes[i].MemberName())
		assert.Equal(t, "debug", watchSettings(t, nodes[i]).await(t, "log/level"))
	}
	eventually(t, patience, everybody(nodes, seeing(3)), "all know each other again")
	require.NoError(t, nodes[0].DeleteSetting(t.Context(), "log/other", "ada"))
	eventually(t, patience, everybody(nodes, generation(3)), "generations go on")
}

// Who is met is remembered at once: the next moment may be the last.
func TestWhoIsMetIsRemembered(t *testing.T) {
	dir := t.TempDir()
	first := start(t, options{cfg: config()})
	cfg := kept(dir, first.address)
	cfg.RejoinInterval = time.Hour
	start(t, options{cfg: cfg})
	eventually(t, patience, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "peers"))
		return err == nil && string(text) == first.address+"\n"
	}, "the address is on disk")
}

// After a restart of all, two pairs find each other of which one member alone
// remembers one of the other pair.
func TestPairsBecomeOneAfterARestart(t *testing.T) {
	var nodes []*node
	var cfgs []gossip.Config
	for range 4 {
		cfgs = append(cfgs, fixed(t, kept(t.TempDir())))
	}
	for i, remembers := range [][]int{{1, 2}, {0}, {3}, {2}} {
		var text string
		for _, other := range remembers {
			text += cfgs[other].Bind + "\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(cfgs[i].Dir, "peers"), []byte(text), 0o600))
	}
	for i, cfg := range cfgs {
		nodes = append(nodes, start(t, options{cfg: cfg}))
		if i%2 == 1 {
			eventually(t, patience, everybody(nodes[i-1:], func(n *node) bool { return n.Members() >= 2 }), "a pair")
		}
	}
	eventually(t, patience, everybody(nodes, seeing(4)), "all four know each other")
}

// A member that lost its memory takes part again; one whose file is damaged puts
// it aside.
func TestAWipedMemberAndADamagedFile(t *testing.T) {
	first := start(t, options{cfg: kept(t.TempDir())})
	dir := t.TempDir()
	second := start(t, options{cfg: kept(dir, first.address)})
	require.NoError(t, second.PutSetting(t.Context(), "a", "b", ""))
	second.stop()

	file := filepath.Join(dir, "settings.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"generation":9`), 0o600))
	book := &logbook{}
	second = start(t, options{cfg: kept(dir, first.address), log: book.logger()})
	assert.Equal(t, "b", watchSettings(t, second).await(t, "a"))
	assert.Equal(t, 1, book.count("the file of the settings is damaged"))
	assert.FileExists(t, file+".damaged")
	second.stop()

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o600))
	second = start(t, options{cfg: kept(dir, first.address)})
	assert.Equal(t, "b", watchSettings(t, second).await(t, "a"))
	require.NoError(t, second.PutSetting(t.Context(), "a", "c", ""))
	eventually(t, patience, generation2(first), "the next change is on top")
}

func generation2(n *node) func() bool { return func() bool { return generation(2)(n) } }

// Two members with one name, as after a folder was copied: one of them goes on
// under a new name, and nothing that it announces is lost.
func TestANameThatTwoMembersHave(t *testing.T) {
	dir := t.TempDir()
	nodes := cluster(t, 3, options{cfg: config()})
	book := &logbook{}
	first := start(t, options{cfg: fixed(t, kept(dir, nodes[0].address)), log: book.logger()})
	nodes = append(nodes, first)
	eventually(t, patience, everybody(nodes, seeing(4)), "four know each other")
	name := first.MemberName()
	double := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(double, "name"), []byte(name+"\n"), 0o600))
	view := watch(t, nodes[1], "worker")
	announce(t, first, instance("worker", 1))

	second := start(t, options{cfg: fixed(t, kept(double, nodes[0].address)), log: book.logger()})
	// Not before the conflict is over: Serf reads what a change of tags writes.
	eventually(t, patience, everybody(append(nodes, second), seeing(5)), "five know each other")
	assert.NotEqual(t, first.MemberName(), second.MemberName())
	assert.Equal(t, 1, book.count("another member has this one's name"), "of the two, one goes on under a new name")
	announce(t, second, instance("worker", 2))
	eventually(t, patience, func() bool { return view.len() == 2 }, "both instances are seen")
}

func TestWritesNeedSomebodyToKeepThem(t *testing.T) {
	lonely := start(t, options{cfg: config("127.0.0.1:1")})
	err := lonely.PutSetting(t.Context(), "a", "b", "")
	require.ErrorContains(t, err, "no other member can be reached")
	first := start(t, options{cfg: config()})
	require.NoError(t, first.PutSetting(t.Context(), "a", "b", ""), "the first member is one")
	require.NoError(t, first.DeleteSetting(t.Context(), "missing", ""))
	disk := start(t, options{cfg: kept(t.TempDir(), "127.0.0.1:1")})
	require.NoError(t, disk.PutSetting(t.Context(), "a", "b", ""))

	require.ErrorIs(t, first.PutSetting(t.Context(), "no name", "b", ""), discovery.ErrInvalidSetting)
	require.ErrorIs(t, first.DeleteSetting(t.Context(), "/", ""), discovery.ErrInvalidSetting)
	require.ErrorIs(t, first.PutSetting(t.Context(), "a", string(make([]byte, discovery.MaxSettingValue+1)), ""), discovery.ErrInvalidSetting)
}

// What would make the whole document too large is refused, and what fits is
// spread, however many packets it would take.
func TestLargeSettings(t *testing.T) {
	nodes := cluster(t, 3, options{cfg: config()})
	eventually(t, patience, everybody(nodes, seeing(3)), "all know each other")
	value := string(make([]byte, 60<<10)) // a third longer in JSON
	const fit = 12
	for i := range uint64(fit) {
		require.NoError(t, nodes[i%3].PutSetting(t.Context(), string(rune('a'+i)), value, ""))
	}
	eventually(t, patience, everybody(nodes, generation(fit)), "all have all")
	require.ErrorIs(t, nodes[0].PutSetting(t.Context(), "z", value, ""), discovery.ErrInvalidSetting)
	for _, n := range nodes {
		assert.Equal(t, value, watchSettings(t, n).await(t, "l"))
	}
}

// Many writers at once, everywhere: no change is lost while all can reach each
// other, and every member ends with the same.
func TestManyWritersLoseNothing(t *testing.T) {
	nodes := cluster(t, 5, options{cfg: config()})
	eventually(t, patience, everybody(nodes, seeing(5)), "all know each other")
	done := make(chan error, len(nodes))
	for i, n := range nodes {
		go func() {
			var err error
			for j := 0; j < 5 && err == nil; j++ {
				// On a machine with no time for it, others may win for long: who is told
				// so has lost nothing, and tries again.
				for err = gossip.ErrBusy; errors.Is(err, gossip.ErrBusy); {
					err = n.PutSetting(t.Context(), "writer-"+string(rune('a'+i)), time.Duration(j).String(), "")
				}
			}
			done <- err
		}()
	}
	for range nodes {
		require.NoError(t, <-done)
	}
	for _, n := range nodes {
		view := watchSettings(t, n)
		for i := range nodes {
			name := "writer-" + string(rune('a'+i))
			eventually(t, patience, func() bool { return view.value(name) == "4ns" }, name+" has its last value")
		}
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]gossip.Config{
		"want a key":           {Bind: "0.0.0.0:7946"},
		"want ip:port":         {Bind: "somewhere"},
		"base64 of 16, 24":     {Key: "c2hvcnQ="},
		"want host:port":       {Join: []string{"host"}},
		"letters, digits":      {Name: "a b"},
		"want at least 100ms":  {TTL: time.Millisecond},
		"advertise":            {Advertise: "host:0"},
		"label of":             {Label: string(make([]byte, 65))},
		"gossip interval -1ns": {GossipInterval: -1},
	} {
		_, err := gossip.New(cfg, gossip.Deps{})
		require.ErrorContains(t, err, want)
	}
	_, err := gossip.New(gossip.Config{}, gossip.Deps{})
	require.NoError(t, err)
}

func TestAPortThatIsTaken(t *testing.T) {
	n := start(t, options{cfg: config()})
	cfg := config()
	cfg.Bind = n.address
	reg, err := gossip.New(cfg, gossip.Deps{})
	require.NoError(t, err)
	require.ErrorContains(t, reg.Run(t.Context()), "address already in use")
}
