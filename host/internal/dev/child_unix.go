//go:build unix && !linux

package dev

import "syscall"

// childAttributes put a child into a process group of its own, so that ctrl-C
// reaches only us and we stop it in order. This system has no parent-death
// signal: a killed dev leaves its children running.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
