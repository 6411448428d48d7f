package imagemaster

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// OriginalRef is where the original of an image lies.
func OriginalRef(id string) storage.Ref { return storage.Ref{State: storage.InProgress, Key: id} }

// RenditionRef is where one attempt puts a rendition. The key carries the
// attempt, so that a late worker can never overwrite the result of another.
func RenditionRef(id string, attempt int, name string) storage.Ref {
	return storage.Ref{State: storage.Finished, Key: id + "." + strconv.Itoa(attempt) + "." + name}
}

// parseRenditionKey takes a rendition's key apart; ok is false for a key that
// [RenditionRef] did not make.
func parseRenditionKey(key string) (id string, attempt int, ok bool) {
	id, rest, found := strings.Cut(key, ".")
	number, name, found2 := strings.Cut(rest, ".")
	attempt, err := strconv.Atoi(number)
	return id, attempt, found && found2 && name != "" && err == nil && checkID(id) == nil
}

// checkID refuses what is no image ID in its canonical form.
func checkID(id string) error {
	u, err := uuid.Parse(id)
	if err != nil || u.String() != id {
		return fault.Newf(fault.Invalid, "%.64q is no image ID; an ID looks like 01890a5d-ac96-774b-bcce-b302099a8057", id).WithField("id")
	}
	return nil
}

// keyFrom gives a cursor that lies before all IDs made at t or later.
func keyFrom(t time.Time) string {
	if t.UnixMilli() <= 0 {
		return ""
	}
	hex := strconv.FormatInt(t.UnixMilli(), 16)
	hex = strings.Repeat("0", 12-len(hex)) + hex
	return hex[:8] + "-" + hex[8:12]
}
