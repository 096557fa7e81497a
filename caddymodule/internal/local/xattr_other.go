//go:build !linux

package local

import "os"

func fgetxattr(*os.File, string, []byte) (int, error) { return 0, ErrNoAttributes }
func fsetxattr(*os.File, string, []byte) error        { return ErrNoAttributes }
func fremovexattr(*os.File, string) error             { return ErrNoAttributes }
