package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/wire"
)

const blobsSchema = `CREATE TABLE IF NOT EXISTS blobs (
	name BLOB PRIMARY KEY, -- SHA-256 of blob
	blob BLOB NOT NULL
) STRICT, WITHOUT ROWID`

func (s *Store) openBlobs(path string) (err error) {
	if s.blobs, err = openDatabase(path, blobsSchema); err != nil {
		return err
	}
	for _, p := range []struct {
		statement **statement
		sql       string
		args      int
	}{
		{&s.putBlob, "INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", 2},
		{&s.getBlob, "SELECT blob FROM blobs WHERE name = ?", 1},
		{&s.begin, "BEGIN IMMEDIATE", 0},
		{&s.commit, "COMMIT", 0},
		{&s.rollback, "ROLLBACK", 0},
	} {
		if *p.statement, err = s.blobs.prepare(p.sql, p.args); err != nil {
			return err
		}
	}
	return nil
}

// PutBlobs implements [wire.Host].
func (s *Store) PutBlobs(ctx context.Context, blobs [][]byte) error {
	for _, b := range blobs {
		if len(b) > maxAnswer {
			return tooLarge("blob")
		}
	}
	s.blobsMu.Lock()
	defer s.blobsMu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.putAll(blobs); err != nil {
		return fmt.Errorf("putting %d blobs: %w", len(blobs), err)
	}
	return nil
}

func (s *Store) putAll(blobs [][]byte) (err error) {
	if err := s.begin.exec(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// SQLite rolls back by itself on a full disk; then this fails.
			_ = s.rollback.exec()
		}
	}()
	for _, b := range blobs {
		name := sha256.Sum256(b)
		if err := s.putBlob.exec(name[:], notNil(b)); err != nil {
			return err
		}
	}
	return s.commit.exec()
}

// notNil keeps an empty blob from being bound as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// GetBlobs implements [wire.Host]. It refuses to answer more than fits into a
// frame.
func (s *Store) GetBlobs(ctx context.Context, names [][]byte) ([][]byte, error) {
	s.blobsMu.Lock()
	defer s.blobsMu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer, size := make([][]byte, 0, min(len(names), wire.MaxRange)), 0
	for _, name := range names {
		blob, err := s.getOne(name)
		if err != nil {
			return nil, err
		}
		if size += len(blob); size > maxAnswer {
			return nil, tooLarge("all blobs of one call")
		}
		answer = append(answer, blob)
	}
	return answer, nil
}

var errNoBlob = wire.Errorf(wire.NotFound, "BLOB_NOT_FOUND", "no such blob")

func (s *Store) getOne(name []byte) (blob []byte, err error) {
	found := false
	err = s.getBlob.query(1, func(row []driver.Value) (bool, error) {
		blob, found = row[0].([]byte)
		if !found {
			return true, errors.New("blobs.db is damaged: a blob has the wrong type")
		}
		return true, nil
	}, name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading blob %x: %w", name, err)
	case !found:
		return nil, errNoBlob
	}
	return blob, nil
}
