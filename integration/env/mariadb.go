package env

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql" of database/sql
)

// MariaDB is a database server on a Unix socket.
type MariaDB struct {
	*Process
	Socket string

	admin *sql.DB
}

// MariaDB starts a database server; existing data in the environment's folder
// is used again.
func (e *Env) MariaDB() (*MariaDB, error) {
	owner, err := database()
	if err != nil {
		return nil, err
	}
	name := e.unique("mariadb")
	home := filepath.Join(e.Dir, name)
	if err := makeFolder(home, owner); err != nil {
		return nil, err
	}
	data := filepath.Join(home, "data")
	if err := once(data, func(data string) error {
		_, err := run(owner, "", "mariadb-install-db", "--no-defaults", "--datadir="+data,
			"--auth-root-authentication-method=normal", "--skip-test-db")
		return err
	}); err != nil {
		return nil, fmt.Errorf("making the database's folder: %w", err)
	}
	path, err := socket(home, "db.sock")
	if err != nil {
		return nil, err
	}
	m := &MariaDB{Socket: path}
	m.Process, err = e.start(name, exec.Command("mariadbd", "--no-defaults",
		"--datadir="+data, "--socket="+m.Socket, "--pid-file="+filepath.Join(home, "pid"),
		"--skip-networking", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M",
		"--max-connections=500",
		// The tests kill web servers, not the database.
		"--innodb-flush-log-at-trx-commit=0"), owner)
	if err != nil {
		return nil, err
	}
	m.admin, err = sql.Open("mysql", m.source("root", "", ""))
	if err != nil {
		return nil, fmt.Errorf("connecting to MariaDB: %w", err)
	}
	e.OnClose(m.admin.Close)
	return m, m.waitReady(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return m.admin.PingContext(ctx)
	})
}

func (m *MariaDB) source(user, password, database string) string {
	return fmt.Sprintf("%s:%s@unix(%s)/%s?timeout=10s&readTimeout=60s", user, password, m.Socket, database)
}

// Create makes an empty database if it does not exist, and a user of the same
// name and password.
func (m *MariaDB) Create(name string) error {
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS `" + name + "` CHARACTER SET utf8mb4",
		"CREATE USER IF NOT EXISTS '" + name + "'@'localhost' IDENTIFIED BY '" + name + "'",
		"GRANT ALL ON `" + name + "`.* TO '" + name + "'@'localhost'",
	} {
		if _, err := m.admin.Exec(statement); err != nil {
			return fmt.Errorf("creating database %s: %w", name, err)
		}
	}
	return nil
}

// Open connects to a database that Create made. The caller closes it.
func (m *MariaDB) Open(name string) (*sql.DB, error) {
	db, err := sql.Open("mysql", m.source(name, name, name))
	if err != nil {
		return nil, fmt.Errorf("connecting to database %s: %w", name, err)
	}
	return db, nil
}

// Dump returns the whole content of a database as SQL.
func (m *MariaDB) Dump(ctx context.Context, name string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "mariadb-dump", "--no-defaults", "--socket="+m.Socket, "--user=root", "--skip-extended-insert", name)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	dump, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dumping database %s: %w: %s", name, err, problems.Bytes())
	}
	return dump, nil
}
