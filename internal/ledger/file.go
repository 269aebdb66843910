package ledger

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"modernc.org/sqlite" // also registers the driver
	sqlite3 "modernc.org/sqlite/lib"
)

// fileFormat is the version of the file's tables. A file of another version is
// made again.
const fileFormat = "5"

// maxConnections bounds the connections to the file, each of which may hold 16
// MB of its pages in memory.
const maxConnections = 4

var errFormat = errors.New("another format")

// openFile opens the file of a directory and makes its tables when it is new.
func openFile(dir string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(dir, "usage.db")}
	// The stream is the truth: what a power cut takes from the file comes again.
	name.RawQuery = "_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=wal_autocheckpoint(8000)" +
		"&_pragma=cache_size(-16384)&_pragma=busy_timeout(10000)&_txlock=immediate"
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxConnections)
	if err := prepare(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func prepare(db *sql.DB) error {
	for _, statement := range schema() {
		if _, err := db.Exec(statement); err != nil {
			return err
		}
	}
	format, err := fact(db, "format")
	switch {
	case err != nil:
		return err
	case format != fileFormat:
		return errFormat
	}
	return nil
}

// schema returns the statements that make the tables where there are none.
func schema() []string {
	statements := []string{
		"CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
		"INSERT OR IGNORE INTO facts VALUES ('format', '" + fileFormat + "')",
		`CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, function TEXT NOT NULL, alias TEXT NOT NULL,
			key TEXT NOT NULL, memory_mb INTEGER NOT NULL, tags TEXT NOT NULL, book TEXT NOT NULL) STRICT`,
		"CREATE TABLE IF NOT EXISTS places (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, hashes BLOB NOT NULL) STRICT",
	}
	for _, table := range tables {
		columns := "series INTEGER NOT NULL, time INTEGER NOT NULL, "
		for _, c := range fileColumns() {
			kind := " INTEGER"
			if c == squaresColumn {
				kind = " REAL"
			}
			columns += c + kind + " NOT NULL, "
		}
		statements = append(statements, "CREATE TABLE IF NOT EXISTS "+table+" ("+columns+"PRIMARY KEY (series, time)) STRICT, WITHOUT ROWID")
	}
	return statements
}

// upsert returns the statement that adds sums to a row of a table.
func upsert(table string) string {
	var set []string
	for _, c := range sumColumns {
		set = append(set, fmt.Sprintf("%[1]s = (%[1]s + excluded.%[1]s) & %[2]d", c, 1<<lowBits-1),
			fmt.Sprintf("%[1]s%[2]s = %[1]s%[2]s + excluded.%[1]s%[2]s + ((%[1]s + excluded.%[1]s) >> %[3]d)", c, highSuffix, lowBits))
	}
	set = append(set, fmt.Sprintf("%[1]s = %[1]s + excluded.%[1]s", squaresColumn), fmt.Sprintf("%[1]s = max(%[1]s, excluded.%[1]s)", peakColumn))
	return "INSERT INTO " + table + " VALUES (?, ?" + strings.Repeat(", ?", len(fileColumns())) + ") ON CONFLICT (series, time) DO UPDATE SET " +
		strings.Join(set, ", ")
}

// A position is the last group that the file knows.
type position struct {
	seq     uint64 // 0 for none
	hash    [32]byte
	records uint64 // number of its last record
}

func (p position) String() string {
	return fmt.Sprintf("%d %x %d", p.seq, p.hash, p.records)
}

// positionOf returns the file's position.
func positionOf(db *sql.DB) (p position, err error) {
	text, err := fact(db, "position")
	if err != nil || text == "" {
		return position{}, err
	}
	seq, rest, _ := strings.Cut(text, " ")
	hash, records, _ := strings.Cut(rest, " ")
	if p.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return position{}, err
	}
	if p.records, err = strconv.ParseUint(records, 10, 64); err != nil {
		return position{}, err
	}
	if n, err := hex.Decode(p.hash[:], []byte(hash)); err != nil || n != len(p.hash) {
		return position{}, errors.New("the hash of the last group is damaged")
	}
	return p, nil
}

// fact returns a fact about the file, "" when it has none of that name.
func fact(db *sql.DB, name string) (value string, err error) {
	err = db.QueryRow("SELECT value FROM facts WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// removeFile removes the file of a directory.
func removeFile(dir string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(filepath.Join(dir, "usage.db"+suffix)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// damaged reports whether an error says that the file is no database any more.
func damaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}
