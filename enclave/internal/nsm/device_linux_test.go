package nsm

import (
	"testing"
	"unsafe"
)

// The number of the driver's only ioctl, from linux/nsm.h.
func TestIoctlNumberIsThatOfTheDriver(t *testing.T) {
	if ioctlRaw != 0xc0200a00 {
		t.Errorf("got %#x", uint(ioctlRaw))
	}
	if size := unsafe.Sizeof(rawMessage{}); size != 32 {
		t.Errorf("the argument has %d bytes", size)
	}
}
