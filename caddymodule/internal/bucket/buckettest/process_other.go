//go:build !linux

package buckettest

import "syscall"

func endWithParent() *syscall.SysProcAttr { return nil }
