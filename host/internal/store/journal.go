package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/wire"
)

// One append is one row: its records, each behind its length as u32be. So an
// append is one statement whatever its size, and SQLite's work for 64 records
// is less than half of what 64 rows cost it.
const journalSchema = `CREATE TABLE IF NOT EXISTS appends (
	first   INTEGER PRIMARY KEY, -- index of the first record
	records BLOB NOT NULL
) STRICT`

func (s *Store) openJournal(path string) (err error) {
	if s.journal, err = openDatabase(path, journalSchema); err != nil {
		return err
	}
	if s.insertRow, err = s.journal.prepare("INSERT INTO appends VALUES (?, ?)", 2); err != nil {
		return err
	}
	// The row that holds the index, and those after it.
	s.readRows, err = s.journal.prepare(`SELECT first, records FROM appends
		WHERE first >= (SELECT max(first) FROM appends WHERE first <= ?) ORDER BY first`, 1)
	if err != nil {
		return err
	}
	last, err := s.journal.prepare("SELECT first, records FROM appends ORDER BY first DESC LIMIT 1", 0)
	if err != nil {
		return err
	}
	return last.query(2, func(row []driver.Value) (bool, error) {
		first, records, err := unpack(row)
		s.length = first + uint64(len(records))
		return true, err
	})
}

// Append implements [wire.Host].
func (s *Store) Append(ctx context.Context, index uint64, records [][]byte) error {
	s.journalMu.Lock()
	defer s.journalMu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if index != s.length {
		return wire.Errorf(wire.Conflict, "JOURNAL_LENGTH", "the journal has %d records, not %d", s.length, index)
	}
	if len(records) == 0 {
		return nil
	}
	s.packed = s.packed[:0]
	for _, r := range records {
		if len(r) > maxAnswer {
			return tooLarge("record")
		}
		s.packed = binary.BigEndian.AppendUint32(s.packed, uint32(len(r)))
		s.packed = append(s.packed, r...)
	}
	if err := s.insertRow.exec(int64(index), s.packed); err != nil {
		return fmt.Errorf("appending at %d: %w", index, err)
	}
	s.length += uint64(len(records))
	return nil
}

// ReadRange implements [wire.Host].
func (s *Store) ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	s.journalMu.Lock()
	defer s.journalMu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if index >= s.length || limit <= 0 {
		return nil, nil
	}
	var answer [][]byte
	limit, size := min(limit, wire.MaxRange), 0
	err := s.readRows.query(2, func(row []driver.Value) (bool, error) {
		first, records, err := unpack(row)
		if err != nil {
			return true, err
		}
		next := index + uint64(len(answer))
		if next < first || next-first >= uint64(len(records)) {
			if len(answer) > 0 {
				return true, nil // what is there first, so that the reader can name the gap
			}
			return true, fmt.Errorf("journal.db has no record %d", next)
		}
		for _, r := range records[next-first:] {
			if size += len(r); len(answer) == limit || len(answer) > 0 && size > maxAnswer {
				return true, nil
			}
			answer = append(answer, r)
		}
		return false, nil
	}, int64(index))
	if err == nil && len(answer) == 0 {
		err = fmt.Errorf("journal.db has no record %d", index)
	}
	if err != nil {
		return nil, fmt.Errorf("reading at %d: %w", index, err)
	}
	return answer, nil
}

func tooLarge(what string) error {
	return wire.Errorf(wire.InvalidArgument, "TOO_LARGE", "%s must have at most %d bytes", what, maxAnswer)
}

// unpack splits a row of appends. The records share the row's memory.
func unpack(row []driver.Value) (first uint64, records [][]byte, err error) {
	index, isIndex := row[0].(int64)
	rest, isBlob := row[1].([]byte)
	if !isIndex || !isBlob || index < 0 {
		return 0, nil, errors.New("journal.db is damaged: a row has the wrong types")
	}
	for len(rest) > 0 {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(binary.BigEndian.Uint32(rest)) {
			return 0, nil, fmt.Errorf("journal.db is damaged: row %d is cut short", index)
		}
		n := 4 + int(binary.BigEndian.Uint32(rest))
		records = append(records, rest[4:n:n])
		rest = rest[n:]
	}
	return uint64(index), records, nil
}
