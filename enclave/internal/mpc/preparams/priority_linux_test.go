package preparams

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// niceHere returns the nice value of the thread that the goroutine is bound to.
func niceHere(t *testing.T) int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - n // the system call counts downwards from 20
}

func TestLowerPriorityIsOfOneThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := niceHere(t)
	lowered, end := make(chan int), make(chan struct{})
	defer close(end)
	go func() {
		if err := lowerPriority(); err != nil {
			t.Error(err)
		}
		lowered <- niceHere(t)
		<-end
	}()
	if got := <-lowered; got != lowest {
		t.Errorf("the thread has nice value %d", got)
	}
	others := make(chan int)
	for range 8 { // each on a thread of its own, some of them new
		go func() {
			runtime.LockOSThread()
			others <- niceHere(t)
			<-end
		}()
	}
	for range 8 {
		if got := <-others; got != before {
			t.Errorf("another thread has nice value %d, not %d", got, before)
		}
	}
}
