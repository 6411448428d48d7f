package e2e_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, standard int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return standard
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err, name)
	return n
}

// plant leaves what a crash would: an original without a task, and a rendition
// of an attempt that lost. Only a sweep takes them away.
func plant(t *testing.T, blobs storage.Store, finished map[string]taskdb.Task) {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	refs := []storage.Ref{imagemaster.OriginalRef(id.String())}
	for id := range finished {
		refs = append(refs, imagemaster.RenditionRef(id, 99, "default"))
		break
	}
	for _, ref := range refs {
		_, err := blobs.Put(t.Context(), ref, strings.NewReader("orphan"), storage.PutOptions{Size: -1})
		require.NoError(t, err)
	}
}

// settled waits until the sweepers are through, and has no orphan left, no task
// stuck, and each upload finished once, or failed as its attempts were used up.
func settled(t *testing.T, p *e2e.Processes, got *accepted) {
	t.Helper()
	began := time.Now()
	tasks := taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	blobs := storage.NewClient(p.Address("storage"), e2e.HTTPClient(t))
	p.Eventually("no task is waiting or in work", func() bool {
		s, err := tasks.Stats(t.Context())
		return err == nil && s.States[taskdb.NotStarted]+s.States[taskdb.InProgress] == 0
	})
	finished, failed := listTasks(t, tasks, taskdb.Finished), listTasks(t, tasks, taskdb.Failed)
	for id, task := range failed {
		require.GreaterOrEqual(t, task.Tries, taskdb.DefaultConfig().MaxTries, "%s failed for another reason than the faults: %v", id, task.Failures)
	}
	for id, n := range got.ids {
		_, ended := finished[id]
		if _, bad := failed[id]; !ended && !bad {
			require.Fail(t, "an accepted upload is lost", "upload %d, task %s", n, id)
		}
	}
	// Each upload was repeated until it was accepted, always with its key.
	require.Len(t, got.ids, len(finished)+len(failed), "an upload has become two images")
	plant(t, blobs, finished)
	var left, missing []string
	// A sweep asks for the task of each blob, and only the second one removes.
	patience := 2*time.Minute + time.Duration(len(finished))*20*time.Millisecond
	require.Eventuallyf(t, func() bool {
		left, missing = orphans(t, blobs, finished, failed)
		return len(left)+len(missing) == 0
	}, patience, 200*time.Millisecond, "orphans are swept: %v; all that is needed is there, but: %v", &left, &missing)
	more := 0
	for _, task := range finished {
		if task.Attempt > 1 {
			more++
		}
	}
	require.LessOrEqual(t, len(failed), 1+len(finished)/100, "few may meet a fault three times")
	t.Logf("settled after %s: %d tasks finished, %d of them took more than one attempt; %d failed, as their attempts were used up",
		time.Since(began).Round(time.Millisecond), len(finished), more, len(failed))
}

// unended lists the tasks that wait or are in work.
func unended(t *testing.T, p *e2e.Processes) []taskdb.Task {
	t.Helper()
	tasks := taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	return slices.Concat(slices.Collect(maps.Values(listTasks(t, tasks, taskdb.NotStarted))),
		slices.Collect(maps.Values(listTasks(t, tasks, taskdb.InProgress))))
}

// listTasks reads all tasks of a state.
func listTasks(t *testing.T, c *taskdb.Client, state taskdb.State) map[string]taskdb.Task {
	t.Helper()
	out := map[string]taskdb.Task{}
	for after := ""; ; {
		page, err := c.List(t.Context(), state, after, taskdb.MaxPage)
		require.NoError(t, err)
		for _, task := range page.Tasks {
			out[task.ID] = task
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}

// orphans lists the blobs that no ended task needs, and those that one needs but are
// not there, as on a storage that was away and has yet to copy them.
func orphans(t *testing.T, c *storage.Client, finished, failed map[string]taskdb.Task) (left, missing []string) {
	t.Helper()
	needed := map[string]bool{}
	for id := range failed {
		needed[string(storage.InProgress)+"/"+id] = true
	}
	for id, task := range finished {
		needed[string(storage.InProgress)+"/"+id] = true
		for _, r := range task.Result.Renditions {
			ref := imagemaster.RenditionRef(id, task.Result.Attempt, r.Name)
			require.Equal(t, ref.Key, r.Key)
			needed[string(ref.State)+"/"+ref.Key] = true
		}
	}
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		for after := ""; ; {
			page, err := c.List(t.Context(), state, after, storage.MaxPage)
			require.NoError(t, err)
			for _, b := range page.Blobs {
				key := string(state) + "/" + b.Key
				if !needed[key] {
					left = append(left, key)
				}
				delete(needed, key)
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	for key := range needed {
		missing = append(missing, key)
	}
	return left, missing
}
