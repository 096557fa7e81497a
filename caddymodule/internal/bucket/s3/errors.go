package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Error codes: "Error responses" in the Amazon S3 API reference; those with
// another store's name in them are that store's own.

// wrap tells what an error of the SDK means, in words for an admin. A store's
// overload (503 SlowDown, 429, 500), timeouts and cut connections stay errors
// of no kind: the outcome is unknown, and worth another try.
func (s *store) wrap(ctx context.Context, doing, key string, err error) error {
	what := doing
	if key != "" {
		what += " " + key
	}
	var credentials *credentialsError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &credentials):
		return fmt.Errorf("%s: %w", what, credentials)
	case isSentinel(err):
		return fmt.Errorf("%s: %w", what, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if answer := answerOf(err); answer != nil {
		return fmt.Errorf("%s: %w", what, s.explain(doing, answer))
	}
	return fmt.Errorf("%s: no answer from %s: %w", what, s.where, innermost(err))
}

func isSentinel(err error) bool {
	for _, sentinel := range []error{
		bucket.ErrNotFound, bucket.ErrExists, bucket.ErrChanged, bucket.ErrRange, bucket.ErrRefused, bucket.ErrDenied, bucket.ErrFull, bucket.ErrNoBucket, bucket.ErrClock, bucket.ErrUnsupported,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// storeAnswer is an error that the store sent.
type storeAnswer struct {
	status        int
	code, message string
	region        string
	cause         error
}

// answerOf returns the store's answer in err, or nil if there was none.
func answerOf(err error) *storeAnswer {
	var response *smithyhttp.ResponseError
	var api smithy.APIError
	hasResponse, hasAPI := errors.As(err, &response), errors.As(err, &api)
	if !hasAPI && (!hasResponse || response.Response == nil || response.HTTPStatusCode() == 0) {
		return nil
	}
	answer := &storeAnswer{cause: err}
	if hasResponse && response.Response != nil && response.Response.Response != nil {
		answer.status = response.HTTPStatusCode()
		answer.region = response.HTTPResponse().Header.Get("X-Amz-Bucket-Region")
	}
	if hasAPI {
		answer.code, answer.message = printable(api.ErrorCode()), printable(api.ErrorMessage())
	}
	return answer
}

// hasCode reports whether the store said one of these codes.
func (a *storeAnswer) hasCode(codes ...string) bool {
	for _, code := range codes {
		if a.code == code {
			return true
		}
	}
	return false
}

// String is what the store said.
func (a *storeAnswer) String() string {
	said := fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	if a.code != "" {
		said = fmt.Sprintf("%d %s", a.status, a.code)
	}
	if a.message != "" && a.message != http.StatusText(a.status) {
		said += ": " + a.message
	}
	return said
}

// explain finds the sentinel and the advice for a store's answer.
func (s *store) explain(doing string, a *storeAnswer) error {
	switch {
	case a.hasCode("NoSuchKey"):
		return bucket.ErrNotFound
	case a.hasCode("NoSuchBucket"):
		return fmt.Errorf("%w: %s has no bucket %s that these credentials see", bucket.ErrNoBucket, s.where, s.cfg.Bucket)
	case a.status == http.StatusMovedPermanently, a.status == http.StatusTemporaryRedirect, a.hasCode("AuthorizationHeaderMalformed"):
		return s.explainRegion(a)
	case a.hasCode("InvalidRange"), a.status == http.StatusRequestedRangeNotSatisfiable:
		return bucket.ErrRange
	case a.hasCode("RequestTimeTooSkewed", "RequestExpired"):
		return fmt.Errorf("%w: set this machine's clock, best with NTP (%s)", bucket.ErrClock, a)
	case a.hasCode("NotImplemented"), a.status == http.StatusNotImplemented:
		return fmt.Errorf("%w (%s)", bucket.ErrUnsupported, a)
	}
	if fault := a.contentFault(); fault != "" {
		return fmt.Errorf("%w: %s (%s)", bucket.ErrRefused, fault, a)
	}
	if a.isFull() {
		return fmt.Errorf("%w: there is no room in the store, or in the quota of bucket %s (%s)", bucket.ErrFull, s.cfg.Bucket, a)
	}
	if advice := a.settingAdvice(); advice != "" {
		return fmt.Errorf("%w: %s (%s)", bucket.ErrUnsupported, advice, a)
	}
	if advice := s.credentialsAdvice(a); advice != "" {
		return fmt.Errorf("%w: %s (%s)", bucket.ErrDenied, advice, a)
	}
	if a.isOfObject() {
		return s.explainOfObject(doing, a)
	}
	if a.status == 0 || a.code == "" {
		return fmt.Errorf("%s answered %d: %w", s.where, a.status, innermost(a.cause))
	}
	return fmt.Errorf("%s answered %s", s.where, a)
}

func (s *store) explainRegion(a *storeAnswer) error {
	if a.region != "" {
		return fmt.Errorf("%w here: it is in the region %s: set the option region to that", bucket.ErrNoBucket, a.region)
	}
	return fmt.Errorf("%w here: it is in another region, or the endpoint is another store's: check region and endpoint (%s)", bucket.ErrNoBucket, a)
}

// contentFault says why the store cannot take this key or content, ever.
func (a *storeAnswer) contentFault() string {
	switch {
	case a.hasCode("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"):
		return "the content changed while it was read, or on its way"
	case a.hasCode("ObjectParentIsFile", "ExistingObjectIsDirectory", "ParentIsObject",
		"XMinioParentIsObject", "XMinioObjectExistsAsDirectory"):
		return "the store cannot hold an object below another"
	case a.hasCode("KeyTooLongError", "InvalidURI", "InvalidObjectName", "XMinioInvalidObjectName", "XMinioInvalidResourceName"):
		return "the store cannot hold this name"
	case a.hasCode("EntityTooLarge"):
		return "it is too large for the store"
	}
	return ""
}

// settingAdvice says which of our settings the store does not take.
func (a *storeAnswer) settingAdvice() string {
	switch {
	case a.hasCode("AccessControlListNotSupported"):
		return "the bucket takes no ACLs: remove the ACL setting and open the bucket's public part by a policy"
	case a.hasCode("InvalidStorageClass"):
		return "the store does not know this storage class"
	case a.hasCode("InvalidEncryptionAlgorithmError", "InvalidEncryptionAlgorithm"), strings.HasPrefix(a.code, "KMS."):
		return "the store cannot encrypt as configured"
	}
	return ""
}

// isFull reports whether the store has no room: MinIO, Ceph and versitygw each have codes of
// their own.
func (a *storeAnswer) isFull() bool {
	return a.status == http.StatusInsufficientStorage ||
		a.hasCode("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "StorageFull", "StorageQuotaExceeded")
}

// isOfObject reports whether the store has refused this request: 400 and its like, but
// for what it says when it or the way to it is slow.
func (a *storeAnswer) isOfObject() bool {
	if a.hasCode("AccessDenied", "Forbidden") {
		return true // it has no status among the answers to a Delete of several
	}
	return a.status >= 400 && a.status < 500 && a.status != http.StatusRequestTimeout &&
		a.status != http.StatusTooManyRequests && !a.hasCode("RequestTimeout", "SlowDown", "RequestLimitExceeded", "Throttling")
}

// rights are what the credentials need for an operation. S3 tells of an absent object only
// those who may list.
var rights = map[string]string{
	"storing":                          "s3:PutObject",
	"copying":                          "s3:GetObject and s3:PutObject",
	"reading":                          "s3:GetObject, and s3:ListBucket for the bucket",
	"looking at":                       "s3:GetObject, and s3:ListBucket for the bucket",
	"listing":                          "s3:ListBucket",
	"deleting":                         "s3:DeleteObject",
	"aborting an upload of":            "s3:AbortMultipartUpload",
	"listing unfinished uploads below": "s3:ListBucketMultipartUploads",
	"presigning a URL of":              "s3:GetObject",
}

func (s *store) explainOfObject(doing string, a *storeAnswer) error {
	if a.hasCode("AccessDenied", "Forbidden") || a.status == http.StatusForbidden {
		return fmt.Errorf("%w: the credentials may not do this in bucket %s: allow %s; %w (%s)",
			bucket.ErrDenied, s.cfg.Bucket, rights[doing], bucket.ErrOfObject, a)
	}
	return fmt.Errorf("%s answered %s, %w", s.where, a, bucket.ErrOfObject)
}

// credentialsAdvice says what is wrong with the credentials or the account.
func (s *store) credentialsAdvice(a *storeAnswer) string {
	switch {
	case a.hasCode("InvalidAccessKeyId", "XAdminUserNotFound"):
		return s.where + " does not know the access key: check access_key and endpoint"
	case a.hasCode("SignatureDoesNotMatch"):
		return "the secret key does not belong to the access key, or a proxy changes requests: check secret_key and region"
	case a.hasCode("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"):
		return "the session token has expired or is wrong: get new temporary credentials"
	case a.hasCode("AllAccessDisabled", "AccountProblem"), a.status == http.StatusUnauthorized:
		return "the account or the credentials may not be used here"
	}
	return ""
}

// innermost strips the SDK's and net/http's prefixes from an error without an
// answer; they repeat the whole URL.
func innermost(err error) error {
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		err = send.Err
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		err = op.Err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// printable makes a store's text fit for a log line.
func printable(s string) string {
	const longest = 300
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// putCondition tells what a refusal of a conditional Put means; nil: nothing
// special.
func putCondition(err error, opts *bucket.PutOptions) error {
	answer := answerOf(err)
	switch {
	case answer == nil:
	case opts.IfNoneMatch && answer.status == http.StatusPreconditionFailed:
		return bucket.ErrExists
	case opts.IfMatch != "" && (answer.status == http.StatusPreconditionFailed || answer.hasCode("NoSuchKey")):
		return bucket.ErrChanged
	}
	return nil
}

// isConflict reports whether the store gave up because of another request at
// the same time, so that nothing was stored and another try may succeed.
//
// S3 says so with 409 to a conditional write ("Conditional requests" in the S3
// user guide). MinIO also answers 403 AccessDenied to a Put when a Delete of
// the last other object in that directory removes the directory meanwhile; so
// a denial must last for a few tries before it is believed.
func isConflict(err error) bool {
	answer := answerOf(err)
	if answer == nil {
		return false
	}
	return (answer.status == http.StatusConflict && answer.hasCode("ConditionalRequestConflict", "OperationAborted")) ||
		(answer.status == http.StatusForbidden && answer.hasCode("AccessDenied"))
}
