package offload

// Keys of log attributes.
const (
	keyError     = "error"
	keyKey       = "key"
	keyDir       = "dir"
	keyFile      = "file"
	keyPending   = "pending"
	keyFor       = "for"
	keyPattern   = "pattern"
	keyAttempt   = "attempt"
	keyFiles     = "files"
	keyObjects   = "objects"
	keyQueued    = "queued"
	keyDeletes   = "deletes"
	keyBucket    = "bucket"
	keyDuration  = "duration"
	keyFilesOnly = "bucket_only"
	keyObject    = "object_key"
)
