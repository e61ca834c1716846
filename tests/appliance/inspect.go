package appliance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Argument returns the value of a flag of a running process, from its command
// line: the paths of the sockets are there.
func Argument(pid int, flag string) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", err
	}
	args := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
	for i, arg := range args {
		name := strings.TrimLeft(arg, "-")
		if value, ok := strings.CutPrefix(name, flag+"="); ok {
			return value, nil
		}
		if name == flag && i+1 < len(args) {
			return args[i+1], nil
		}
	}
	return "", fmt.Errorf("process %d has no flag -%s", pid, flag)
}

// EnclaveDoor is the address at which the enclave takes calls.
func (a *Appliance) EnclaveDoor() (string, error) { return Argument(a.EnclavePID, "listen") }

// HostDoor is the address at which the host takes the enclave's calls.
func (a *Appliance) HostDoor() (string, error) { return Argument(a.EnclavePID, "host") }

// Memory is the resident memory of a process in bytes.
func Memory(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm of process %d: %q", pid, raw)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// OpenFiles counts the open files of a process. Every connection is one.
func OpenFiles(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}
