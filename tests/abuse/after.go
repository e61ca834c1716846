package main

import (
	"fmt"

	"github.com/sallyport/sallyport/tests/appliance"
)

// A measure is what the table must not change.
type measure struct {
	memory map[appliance.Process]int64
	files  map[appliance.Process]int
}

var children = []appliance.Process{appliance.Host, appliance.Enclave}

func (w *world) measure() (measure, error) {
	m := measure{map[appliance.Process]int64{}, map[appliance.Process]int{}}
	for _, p := range children {
		var err error
		if m.memory[p], err = appliance.Memory(w.app.PID(p)); err != nil {
			return m, err
		}
		// The enclave keeps its open files from other users, so that this
		// counts them only where it may.
		m.files[p], _ = appliance.OpenFiles(w.app.PID(p))
	}
	return m, nil
}

const (
	// moreMemory is what a process may have grown by: the door's and the
	// host's budgets for large bodies are 64 MiB each.
	moreMemory = 160 << 20
	// moreFiles are connections that are idle and may stay.
	moreFiles = 200
)

// unharmed checks the appliance after the table.
func (w *world) unharmed(before measure) error {
	if w.app.Ended() {
		return fmt.Errorf("it has ended: %s", w.app.Stderr())
	}
	for _, p := range children {
		address, err := appliance.Argument(w.app.PID(p), map[appliance.Process]string{appliance.Host: "door", appliance.Enclave: "host"}[p])
		if err != nil || address != "unix:"+w.hostDoor {
			return fmt.Errorf("the %s is another process: %q, %w", p, address, err)
		}
	}
	after, err := w.measure()
	if err != nil {
		return err
	}
	for _, p := range children {
		if grown := after.memory[p] - before.memory[p]; grown > moreMemory {
			return fmt.Errorf("the %s has grown by %d MiB", p, grown>>20)
		}
		if more := after.files[p] - before.files[p]; more > moreFiles {
			return fmt.Errorf("the %s has %d more open files", p, more)
		}
	}
	_, err = served(w.main.submit("sign_raw_payload", typeSign, w.main.signParameters()))
	if err != nil {
		return fmt.Errorf("an honest client: %w", err)
	}
	return nil
}
