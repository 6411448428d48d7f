package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"gocloud.dev/gcerrors"

	"imagemill/internal/fault"
	"imagemill/internal/volume"
	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// retryAfter is what callers are told to wait when the object store failed them:
// what it takes a crowded one to breathe, the drivers having tried some times.
const retryAfter = 2 * time.Second

// saysFull reports whether a code is one by which servers of S3's kind say that
// there is no room.
func saysFull(code string) bool {
	switch code {
	case "QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage":
		return true
	}
	return false
}

// kindOf sorts an error of a driver: StorageFull, Internal for damage and for
// what will fail again, else Unavailable.
func kindOf(err error) fault.Kind {
	var status *awshttp.ResponseError
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case volume.IsFull(err), saysFull(code(err)):
		return fault.StorageFull
	case errors.Is(err, footer.ErrDamaged), errors.As(err, &path), errors.As(err, &link):
		return fault.Internal
	case errors.As(err, &status):
		return ofStatus(status.HTTPStatusCode())
	}
	switch gcerrors.Code(err) {
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return fault.Internal
	default:
		return fault.Unavailable
	}
}

// ofStatus is kindOf for the status of an answer. Refused credentials, and a
// bucket that is not there, may be set right while pictures wait.
func ofStatus(status int) fault.Kind {
	switch status {
	case http.StatusInsufficientStorage:
		return fault.StorageFull
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusPreconditionFailed, http.StatusTooEarly, http.StatusTooManyRequests:
		return fault.Unavailable
	}
	if status >= 400 && status < 500 {
		return fault.Internal
	}
	return fault.Unavailable
}

// failed gives an error of the bucket its kind, and leaves the caller's own
// cancellation what it is.
func (s *Store) failed(ctx context.Context, verb string, ref storage.Ref, err error) error {
	if errors.Is(err, errNotThere) && ctx.Err() == nil {
		// Some answers do not tell whether the object or the bucket is missing, and
		// the difference is whether the blob is lost.
		if _, _, berr := s.names(ctx, ref.State, "", 1); berr != nil {
			err = berr
		} else {
			err = errNoBlob
		}
	}
	if errors.Is(err, errNoBlob) {
		return storage.NotFound(ref)
	}
	var public *fault.Error
	known := errors.As(err, &public)
	err = fmt.Errorf("%s blob %s/%s: %w", verb, ref.State, ref.Key, err)
	switch {
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), err)
	case known:
		return err
	}
	switch kindOf(err) {
	case fault.StorageFull:
		return fault.Wrap(fault.StorageFull, "there is no room left to store this", err)
	case fault.Unavailable:
		return s.unavailable(err)
	default:
		// Without its kind an error is fault.Internal; a deadline within is not the
		// caller's.
		return fault.Wrap(fault.Internal, "something went wrong on our side; the request ID finds it in the log", err)
	}
}

// unavailable says that the object store did not do it, and that it may later.
func (s *Store) unavailable(err error) error {
	s.health.failed(err)
	return fault.Wrap(fault.Unavailable, "the object store cannot be reached, or is too busy; try again", err).WithRetryAfter(retryAfter)
}
