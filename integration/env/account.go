package env

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Account is the system user that a program runs as. Nil stands for the user
// who runs the tests.
type Account struct {
	Name     string
	UID, GID int
}

// WebServer is the user that PHP runs as, like on a Debian web server. It is
// nil if this process is not root and thus cannot change users.
func WebServer() (*Account, error) { return account("www-data") }

func database() (*Account, error) { return account("mysql") }

func account(name string) (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("looking up user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("looking up user %s: %w", name, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("looking up user %s: %w", name, err)
	}
	return &Account{Name: name, UID: uid, GID: gid}, nil
}

// Own gives the file at path to the account.
func (a *Account) Own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Lchown(path, a.UID, a.GID); err != nil {
		return fmt.Errorf("giving a file to %s: %w", a.Name, err)
	}
	return nil
}

func (a *Account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
}
