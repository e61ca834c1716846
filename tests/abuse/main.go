// Command abuse sends a running appliance what nobody should send it, and
// checks that each thing ends as the table says: refused, with nothing changed.
//
//	go run ./tests/abuse BIN
//
// BIN is the folder of the built binaries. The ids are those of the project's
// table of abuses; a letter behind one tells its variants apart. A row that an
// appliance must serve, because published clients send it or because the same
// request came twice, counts as refused when it ended exactly so.
//
// It ends with `abuses: N, refused: N` and exits 1 when the two differ, or when
// afterwards the appliance is not what it was: the same two processes, with
// bounded memory, serving an honest client.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// A row is one abuse.
type row struct {
	id   string
	what string
	run  func(w *world) (seen string, err error)
	// slow rows wait for a deadline of the appliance. They run beside all the
	// others and must not write.
	slow bool
	// writes tells that the row has honest work recorded on its way. All
	// others must leave the journal as it was.
	writes bool
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: abuse BIN")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(1)
	}
}

func run(bin string) (err error) {
	dir, err := os.MkdirTemp("", "sallyport-abuse-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newWorld(bin, dir)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	defer w.close()
	before, err := w.measure()
	if err != nil {
		return err
	}
	refused := w.all(rows())
	printScope()
	if err := w.unharmed(before); err != nil {
		fmt.Printf("%-5s FAILED  the appliance afterwards: %v\n", "", err)
		return err
	}
	fmt.Printf("%-5s ok      the appliance afterwards: same processes, bounded memory, serves an honest client\n", "")
	n := len(rows())
	fmt.Printf("abuses: %d, refused: %d\n", n, refused)
	if refused != n {
		return fmt.Errorf("%d abuses did not end as they must", n-refused)
	}
	return nil
}

// rows is the whole table.
func rows() []row {
	var all []row
	for _, block := range [][]row{
		framing, hostDoor, httpRows, stampRows, timeRows, attestationRows, targetRows, bundleRows,
		quorumRows, sealedRows, processRows,
	} {
		all = append(all, block...)
	}
	return all
}

// outcome is how a row ended.
type outcome struct {
	seen string
	err  error
	took time.Duration
}

// all runs the table and prints one line for each row. It returns how many
// ended as they must.
func (w *world) all(table []row) (good int) {
	outcomes := make([]outcome, len(table))
	var slow sync.WaitGroup
	for i, r := range table {
		if r.slow {
			slow.Go(func() { outcomes[i] = w.one(r) })
		}
	}
	for i, r := range table {
		if !r.slow {
			outcomes[i] = w.one(r)
		}
	}
	slow.Wait()
	for i, r := range table {
		o := outcomes[i]
		verdict := "ok    "
		if o.err != nil {
			verdict, o.seen = "FAILED", o.err.Error()
		} else {
			good++
		}
		fmt.Printf("%-5s %s  %s: %s\n", r.id, verdict, r.what, short(o.seen))
	}
	return good
}

// one runs a row and holds it to what it may write.
func (w *world) one(r row) (o outcome) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			o.err = fmt.Errorf("panic: %v", p)
		}
		o.took = time.Since(start)
	}()
	var before uint64
	if !r.slow && !r.writes {
		if before, o.err = w.journalSize(); o.err != nil {
			return o
		}
	}
	if o.seen, o.err = r.run(w); o.err != nil || r.slow || r.writes {
		return o
	}
	after, err := w.journalSize()
	switch {
	case err != nil:
		o.err = fmt.Errorf("afterwards the appliance does not answer: %w", err)
	case after != before:
		o.err = fmt.Errorf("the journal grew from %d to %d entries: %s", before, after, o.seen)
	}
	return o
}

// short keeps a line of the report a line.
func short(s string) string {
	out := []rune{}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		if out = append(out, r); len(out) == 160 {
			return string(out) + "..."
		}
	}
	return string(out)
}
