package nsm

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctlRaw is _IOWR(0x0A, 0, struct nsm_raw), from linux/nsm.h: direction 3 in
// the top two bits, 32 bytes of argument, type 0x0A, number 0.
const ioctlRaw = 3<<30 | unsafe.Sizeof(rawMessage{})<<16 | 0x0a<<8

// rawMessage is struct nsm_raw: two struct nsm_iovec, each an address and a
// length. The driver sets the length of the second to that of the reply.
type rawMessage struct {
	requestAddress, requestLength uint64
	replyAddress, replyLength     uint64
}

// file is an open /dev/nsm.
type file struct{ fd int }

func openDevice(path string) (Device, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: path, Err: err}
	}
	return &file{fd: fd}, nil
}

// Exchange implements [Device]. The buffers are pinned, because the kernel gets
// their addresses inside a struct, where the runtime does not see them.
func (f *file) Exchange(request, reply []byte) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	raw := &rawMessage{requestLength: uint64(len(request)), replyLength: uint64(len(reply))}
	at := func(b []byte) uint64 {
		p := unsafe.SliceData(b)
		pin.Pin(p)
		return uint64(uintptr(unsafe.Pointer(p)))
	}
	raw.requestAddress, raw.replyAddress = at(request), at(reply)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), ioctlRaw, uintptr(unsafe.Pointer(raw)))
	if errno != 0 {
		return 0, fmt.Errorf("asking the device: %w", errno)
	}
	if raw.replyLength > uint64(len(reply)) {
		return 0, fmt.Errorf("the device claims a reply of %d bytes", raw.replyLength)
	}
	return int(raw.replyLength), nil
}

// Close implements [Device].
func (f *file) Close() error { return unix.Close(f.fd) }
