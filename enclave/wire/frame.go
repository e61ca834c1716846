package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A frame is
//
//	byte 0       version, 1
//	bytes 1-4    length of the body, big endian, 1 to MaxBody
//	...          body, deterministic CBOR
//	last 4       CRC-32C of all bytes before it, big endian
//
// The checksum is against damage on the way, which current kernels and
// hypervisors are known to do to vsock streams. It is no authentication.
//
// A request is one frame and so is an answer, but for answers of Do that pass
// MaxBody: see parts.go.

// castagnoli is CRC-32C, RFC 3720 appendix B.4; amd64 and arm64 have it in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealFrame fills in the length and appends the checksum.
func sealFrame(frame *bytes.Buffer) {
	b := frame.Bytes()
	b[0] = FrameVersion
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-headerSize))
	var sum [trailerSize]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(b, castagnoli))
	frame.Write(sum[:])
}

// writeFrame gives a frame to the peer, in one Write when it is small.
func writeFrame(conn net.Conn, frame []byte, patience time.Duration) error {
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for len(frame) > 0 {
		n, err := conn.Write(frame[:min(len(frame), maxWrite)])
		if err != nil {
			return err
		}
		frame = frame[n:]
	}
	return nil
}

// budget bounds the bytes of large frames over all connections of a server.
// A nil budget is unlimited.
type budget struct{ left atomic.Int64 }

func newBudget(n int64) *budget {
	b := new(budget)
	b.left.Store(n)
	return b
}

func (b *budget) take(n int) bool {
	if b == nil || b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *budget) give(n int) {
	if b != nil && n != 0 {
		b.left.Add(int64(n))
	}
}

// frameReader reads the frames of one connection. It has one user at a time.
//
// Its buffer grows with the bytes that have come, never with the length that
// was announced, and is wiped after each frame.
type frameReader struct {
	conn  net.Conn
	frame time.Duration // for the rest of a frame that has begun
	share *budget

	// waiting says how long the first byte of a frame may take to come. It is
	// asked again when that time has come, and once more is granted if it then
	// names a later one: so an ordinary call sets no deadline at all. Nil
	// waits for ever.
	waiting func() time.Time

	buf     []byte // base, or larger while a larger frame is read
	base    []byte
	w       int  // bytes in buf
	size    int  // of the complete frame at the start of buf, 0 when there is none
	taken   int  // of share
	hurried bool // the deadline is that of a frame
}

// next returns the body of the next frame, valid until drop. Errors are an
// [*Error] when the peer broke the rules, io.EOF when it closed between
// frames, and those of the connection. All of them are final.
func (f *frameReader) next() ([]byte, error) {
	if err := f.fill(1); err != nil {
		return nil, err
	}
	if v := f.buf[0]; v != FrameVersion {
		return nil, Errorf(Unimplemented, ReasonVersion, "frame version %d is not spoken; versions spoken: %d", v, FrameVersion)
	}
	if err := f.fill(headerSize); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(f.buf[1:])
	if length == 0 || length > MaxBody {
		return nil, Errorf(InvalidArgument, ReasonLength, "frame body length must be 1 to %d", MaxBody)
	}
	end := headerSize + int(length)
	if err := f.fill(end + trailerSize); err != nil {
		return nil, err
	}
	if crc32.Checksum(f.buf[:end], castagnoli) != binary.BigEndian.Uint32(f.buf[end:]) {
		return nil, Errorf(Unavailable, ReasonChecksum, "frame was damaged on its way")
	}
	f.size = end + trailerSize
	if err := f.calm(); err != nil {
		return nil, err
	}
	return f.buf[headerSize:end], nil
}

// more drops a frame and returns the next one, which belongs to the same
// message: its time runs already, and an end is no end between frames.
func (f *frameReader) more() ([]byte, error) {
	f.share.give(f.drop())
	f.hurried = true
	if err := f.conn.SetReadDeadline(time.Now().Add(f.frame)); err != nil {
		return nil, err
	}
	body, err := f.next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

// drop wipes the frame that next returned, keeps what came behind it, and
// returns how much of the budget the frame had taken.
func (f *frameReader) drop() (taken int) {
	// A buffer that has grown is never larger than its frame, so bytes of the
	// next one are in base.
	rest := copy(f.buf, f.buf[f.size:f.w])
	clear(f.buf[rest:f.w])
	f.buf, f.w, f.size = f.base, rest, 0
	taken, f.taken = f.taken, 0
	return taken
}

// abandon wipes whatever there is, at the end of the connection.
func (f *frameReader) abandon() {
	f.size = f.w
	f.share.give(f.drop())
}

// begun tells whether bytes of a frame are there.
func (f *frameReader) begun() bool { return f.w > 0 }

// fill reads until need bytes are there.
func (f *frameReader) fill(need int) error {
	for f.w < need {
		if err := f.prepare(need); err != nil {
			return err
		}
		n, err := f.conn.Read(f.buf[f.w:])
		f.w += n
		switch {
		case n > 0: // an error comes again with the next Read
		case err == nil:
			return io.ErrNoProgress
		case f.w == 0 && f.wait(err):
		case f.w > 0 && errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
	return nil
}

// peek waits between frames for a byte to come or the connection to end. The
// byte is kept for next.
func (f *frameReader) peek() error {
	if f.begun() {
		return nil
	}
	n, err := f.conn.Read(f.buf)
	f.w += n
	if n > 0 {
		return nil
	}
	return err
}

// prepare makes room for at least one more byte of need, and hurries the rest
// of a frame that has begun.
func (f *frameReader) prepare(need int) error {
	if f.w == len(f.buf) && !f.grow(min(2*len(f.buf), need)) {
		return Errorf(ResourceExhausted, ReasonBusy, "too many large frames at once")
	}
	if f.w == 0 || f.hurried {
		return nil
	}
	f.hurried = true
	return f.conn.SetReadDeadline(time.Now().Add(f.frame))
}

func (f *frameReader) grow(size int) bool {
	if !f.share.take(size - len(f.buf)) {
		return false
	}
	f.taken += size - len(f.buf)
	larger := make([]byte, size)
	copy(larger, f.buf)
	clear(f.buf)
	f.buf = larger
	return true
}

// wait tells whether to wait on for a first byte after err.
func (f *frameReader) wait(err error) bool {
	if f.waiting == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	until := f.waiting()
	return until.After(time.Now()) && f.conn.SetReadDeadline(until) == nil
}

// calm puts the deadline between frames back after a frame was hurried.
func (f *frameReader) calm() error {
	if !f.hurried {
		return nil
	}
	f.hurried = false
	return f.start()
}

// start sets the first deadline.
func (f *frameReader) start() error {
	var until time.Time
	if f.waiting != nil {
		until = f.waiting()
	}
	return f.conn.SetReadDeadline(until)
}

func newFrameReader(conn net.Conn, l limits) *frameReader {
	base := make([]byte, baseBuffer)
	return &frameReader{conn: conn, frame: l.frame, base: base, buf: base}
}
