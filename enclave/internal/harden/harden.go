// Package harden keeps secrets in memory from others on the machine.
package harden

import "golang.org/x/sys/unix"

// Process keeps the process's memory out of core files and out of reach of
// other processes of the same user.
func Process() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
