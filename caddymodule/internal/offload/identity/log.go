package identity

import "time"

// Keys of log attributes.
const (
	keyError  = "error"
	keyDir    = "dir"
	keyBucket = "bucket"
)

const (
	// callTimeout bounds calls of the store that read or change the identity.
	callTimeout = 30 * time.Second
	// maxTurns bounds the tries of a change at the same time as others'.
	maxTurns = 4
)
