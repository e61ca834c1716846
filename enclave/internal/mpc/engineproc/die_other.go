//go:build !linux

package engineproc

import "os/exec"

// dieWithParent does nothing: the child ends when its input does.
func dieWithParent(*exec.Cmd) {}
