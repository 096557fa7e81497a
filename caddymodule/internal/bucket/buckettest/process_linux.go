package buckettest

import "syscall"

// endWithParent has the kernel end a server when the test binary is killed,
// which runs no clean-up.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
