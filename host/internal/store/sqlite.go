package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sallyport/sallyport/enclave/wire"
)

// formatVersion is written into each database. A database of another version is
// refused.
const formatVersion = 1

// settings are applied to each database, in this order.
//
//   - page_size: of 4, 8 and 16 KiB the one with the least CPU time for single
//     records and batches of 64 together.
//   - locking_mode before journal_mode: the index of the log is then on the
//     heap, and no call locks or unlocks files.
//   - synchronous=FULL: a commit returns after the log is on disk.
//   - wal_autocheckpoint: 4 MiB of log. Its two more fsyncs are then under 1%
//     of the appends, and the log is soon written over instead of growing.
var settings = []string{
	"page_size(8192)",
	"locking_mode(EXCLUSIVE)",
	"journal_mode(WAL)",
	"synchronous(FULL)",
	"wal_autocheckpoint(512)",
	"cache_size(-8192)", // KiB
	"trusted_schema(OFF)",
}

// database is one SQLite file with its only connection. It uses the driver
// without the pool of database/sql, whose bookkeeping costs nine allocations for
// each statement. It is not safe for concurrent use.
type database struct {
	conn       driver.Conn
	statements []*statement
	broken     error // an I/O error or damage; what the file holds is unknown
}

// statement is a prepared statement with room for its arguments.
type statement struct {
	db   *database
	stmt driver.Stmt
	args []driver.NamedValue
}

var errClosed = errors.New("store is closed")

func openDatabase(path, schema string) (*database, error) {
	// SQLite gives the log the permissions that the database has.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{"_pragma": settings}.Encode()}
	conn, err := new(sqlite.Driver).Open(name.String())
	if err != nil {
		return nil, err
	}
	db := &database{conn: conn}
	if err := db.setUp(schema); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

// setUp creates the table and checks that the settings hold: SQLite does not
// complain about those that it cannot follow.
func (db *database) setUp(schema string) error {
	version, err := db.pragma("user_version")
	if err != nil {
		return err
	}
	if version != int64(0) && version != int64(formatVersion) {
		return fmt.Errorf("has format %v, this program reads format %d", version, formatVersion)
	}
	for _, sql := range []string{schema, fmt.Sprintf("PRAGMA user_version = %d", formatVersion)} {
		if err := db.run(sql); err != nil {
			return err
		}
	}
	for name, want := range map[string]driver.Value{
		"journal_mode": "wal",
		"locking_mode": "exclusive",
		"synchronous":  int64(2),
	} {
		if got, err := db.pragma(name); err != nil || got != want {
			return errors.Join(fmt.Errorf("%s is %v, must be %v", name, got, want), err)
		}
	}
	return nil
}

func (db *database) run(sql string) error {
	s, err := db.prepare(sql, 0)
	if err != nil {
		return err
	}
	return s.exec()
}

func (db *database) pragma(name string) (value driver.Value, err error) {
	s, err := db.prepare("PRAGMA "+name, 0)
	if err != nil {
		return nil, err
	}
	err = s.query(1, func(row []driver.Value) (bool, error) {
		value = row[0]
		return true, nil
	})
	return value, err
}

func (db *database) prepare(sql string, args int) (*statement, error) {
	stmt, err := db.conn.Prepare(sql)
	if err != nil {
		return nil, db.judge(err)
	}
	s := &statement{db: db, stmt: stmt, args: make([]driver.NamedValue, args)}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	db.statements = append(db.statements, s)
	return s, nil
}

// exec runs a statement that returns no rows. Outside of a transaction it is a
// durable step of its own.
func (s *statement) exec(args ...driver.Value) error {
	if err := s.bind(args); err != nil {
		return err
	}
	_, err := s.stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
	return s.db.judge(err)
}

// query gives each row of so many columns to the function until that is done.
func (s *statement) query(columns int, each func(row []driver.Value) (done bool, err error), args ...driver.Value) (err error) {
	if err := s.bind(args); err != nil {
		return err
	}
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), s.args)
	if err != nil {
		return s.db.judge(err)
	}
	defer func() { err = errors.Join(err, s.db.judge(rows.Close())) }()
	row := make([]driver.Value, columns)
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return s.db.judge(err)
		}
		if done, err := each(row); done || err != nil {
			return err
		}
	}
}

func (s *statement) bind(args []driver.Value) error {
	if s.db.broken != nil {
		return s.db.broken
	}
	for i := range s.args {
		s.args[i].Value = args[i]
	}
	return nil
}

// judge turns a full disk into the error that the enclave's callers may see, and
// gives up on the database after an error of the disk: a page that could not be
// written may read back from the system's cache as if it had been, until the
// next crash. Only opening the folder again tells what is there.
func (db *database) judge(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return wire.Errorf(wire.ResourceExhausted, "DISK_FULL", "the host's disk is full")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		db.broken = fmt.Errorf("store must be opened again after: %w", err)
		return db.broken
	}
	return err
}

func (db *database) close() error {
	if db == nil || db.conn == nil {
		return nil
	}
	var errs []error
	for _, s := range db.statements {
		errs = append(errs, s.stmt.Close())
	}
	errs = append(errs, db.conn.Close())
	db.conn, db.broken = nil, errClosed
	return errors.Join(errs...)
}
