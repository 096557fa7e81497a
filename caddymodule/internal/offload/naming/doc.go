// Package naming is how a request has its files' names to itself: it claims them, waits
// until they are its own and its server has seen what others wrote, and hears of it if
// another server's file has one of them all the same.
//
// An app looks whether a name is taken, and gives it to a file if it is not. Two requests
// that look at the same moment would give it twice; so their names are leased (package
// lease), and a request is ready only when it has them and the disk has what those wrote
// who had them before.
//
// It promises that no request waits for another one's names longer than its caller lets
// it; and that a request whose names were another's for a while, and whose file has lost
// one, has a CollisionError for its client, and no other request has.
//
// It must not know files or the bucket: what there is of other servers' it asks Others, and
// what became of a file it is told by the engine.
package naming
