package appliance

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// StartAndKill runs dev and kills it with SIGKILL after a while, wherever in
// its start it is then. The kernel ends its children with it.
func StartAndKill(bin string, after time.Duration, flags ...string) error {
	cmd := exec.Command(filepath.Join(bin, "sallyport"), append([]string{"dev", "--json"}, flags...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // killed, or it could not start: the next start tells
	return nil
}
