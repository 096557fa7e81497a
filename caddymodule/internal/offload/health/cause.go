package health

import (
	"errors"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// ErrAway is what errors are that say that the bucket is not there, or not the site's.
var ErrAway = errors.New("the bucket is away")

// IsOfObject reports errors that may be about one object, and say nothing of others.
func IsOfObject(err error) bool { return errors.Is(err, bucket.ErrOfObject) }

// IsFull reports errors of a store that has no room.
func IsFull(err error) bool { return errors.Is(err, bucket.ErrFull) }

// IsOfStore reports errors that tell for certain that it is the store which fails.
func IsOfStore(err error) bool {
	return !IsOfObject(err) && (IsAdmins(err) || IsFull(err) || errors.Is(err, ErrAway))
}

// IsAdmins reports errors that no waiting will mend, only an admin.
func IsAdmins(err error) bool {
	return errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, bucket.ErrClock)
}
