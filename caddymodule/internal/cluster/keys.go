package cluster

// Keys of log attributes.
const (
	keyError  = "error"
	keyObject = "object_key"
	keyEnd    = "end"
)
