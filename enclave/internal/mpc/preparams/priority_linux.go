package preparams

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// lowest is the highest nice value: the least share of the processor.
const lowest = 19

// lowerPriority binds the goroutine to a thread and makes that thread nice: on
// Linux setpriority(2) with process 0 is about the calling thread alone. It
// stays bound, so the thread ends with the goroutine and no other inherits
// its priority.
func lowerPriority() error {
	runtime.LockOSThread()
	return unix.Setpriority(unix.PRIO_PROCESS, 0, lowest)
}
