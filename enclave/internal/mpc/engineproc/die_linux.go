package engineproc

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the child with this process, however that ends.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
