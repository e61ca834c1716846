package dev

import "syscall"

// childAttributes put a child into a process group of its own, so that ctrl-C
// reaches only us and we stop it in order, and make the kernel kill it when we
// end without doing so.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
