package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

func Example() {
	err := fmt.Errorf("open rendition: %w", fault.New(fault.NotFound, "there is no image with this ID"))
	fmt.Println(fault.KindOf(err), fault.Status(fault.KindOf(err)), fault.As(err).Public)
	// Output: not-found 404 there is no image with this ID
}

func kinds() []fault.Kind {
	return []fault.Kind{
		fault.Internal, fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.MethodNotAllowed,
		fault.Timeout, fault.Conflict, fault.TooLarge, fault.Unsupported, fault.Range, fault.Unprocessable,
		fault.Overloaded, fault.Unavailable, fault.DeadlineExceeded, fault.StorageFull, fault.Canceled,
	}
}

// respond answers as a service would.
func respond(err error) *http.Response {
	rec := httptest.NewRecorder()
	p := fault.ProblemOf(err, "/x", "r-1")
	rec.Header().Set("Content-Type", fault.ContentType)
	rec.Header().Set("Retry-After", "7")
	rec.WriteHeader(p.Status)
	_ = json.NewEncoder(rec).Encode(p)
	return rec.Result()
}

func TestEveryKindSurvivesAHop(t *testing.T) {
	for _, kind := range kinds() {
		sent := fault.Wrap(kind, "what the user may know", errors.New("the secret cause")).
			WithField("renditions[0].width").WithState("failed").WithID("42")
		resp := respond(sent)
		require.Equal(t, fault.Status(kind), resp.StatusCode)
		got := fault.As(fault.FromResponse(resp))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, kind, got.Kind)
		require.Equal(t, "what the user may know", got.Public)
		require.Equal(t, []string{"renditions[0].width", "failed", "42"}, []string{got.Field, got.State, got.ID})
		require.Equal(t, 7*time.Second, got.RetryAfter)
		require.NotContains(t, got.Error(), "secret")
	}
}

func TestStatusTableHasEachKindOnce(t *testing.T) {
	seen := map[int]fault.Kind{}
	for _, kind := range kinds() {
		status := fault.Status(kind)
		require.NotContains(t, seen, status, "shared by %s", kind)
		seen[status] = kind
		require.Equal(t, kind, fault.FromStatus(status))
	}
	require.Equal(t, fault.Invalid, fault.FromStatus(http.StatusTeapot))
	require.Equal(t, fault.Internal, fault.FromStatus(599))
	require.Equal(t, http.StatusInternalServerError, fault.Status("nonsense"))
}

func TestForeignErrorBodyStaysPrivate(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "text/html")
	rec.WriteHeader(http.StatusBadGateway)
	_, _ = rec.WriteString("<h1>proxy at 10.0.0.7 is sad</h1>")
	err := fault.FromResponse(rec.Result())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NotContains(t, fault.As(err).Public, "10.0.0.7")
	require.Contains(t, err.Error(), "10.0.0.7", "the log has it")
}

func TestAProblemCannotChangeItsStatusByItsType(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", fault.ContentType)
	rec.WriteHeader(http.StatusNotFound)
	_, _ = rec.WriteString(`{"type":"urn:imagemill:problem:internal","detail":"x"}`)
	require.Equal(t, fault.NotFound, fault.KindOf(fault.FromResponse(rec.Result())))
}

func TestAs(t *testing.T) {
	require.Nil(t, fault.As(nil))
	require.Equal(t, fault.Kind(""), fault.KindOf(nil))
	require.Equal(t, fault.Canceled, fault.KindOf(fmt.Errorf("x: %w", context.Canceled)))
	require.Equal(t, fault.DeadlineExceeded, fault.KindOf(fmt.Errorf("x: %w", context.DeadlineExceeded)))
	internal := fault.As(errors.New("disk sda1 on fire"))
	require.Equal(t, fault.Internal, internal.Kind)
	require.NotContains(t, internal.Public, "sda1")
}

func TestRetryable(t *testing.T) {
	want := map[fault.Kind]bool{
		fault.Overloaded: true, fault.Unavailable: true, fault.DeadlineExceeded: true, fault.StorageFull: true, fault.Internal: true,
	}
	for _, kind := range kinds() {
		require.Equal(t, want[kind], fault.Retryable(fault.New(kind, "x")), kind)
	}
	require.False(t, fault.Retryable(nil))
}
