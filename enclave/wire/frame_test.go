package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// goldens are the frames in testdata, what they say, and who reads them.
var goldens = []struct {
	name  string
	head  []byte
	value any
	codec codec
}{
	{"status_request", requestHead(methodStatus), &nothing{}, enclaveCodec},
	{"status_answer", resultHead, &Status{Version: "1.0.0", Phase: PhaseReady, Assurance: "nitro", JournalSize: 1000, Epoch: 1, Time: 1765356186112}, hostCodec},
	{"do_request", requestHead(methodDo), &Request{
		API: APIActivity, Path: "/public/v1/query/whoami", Body: []byte("{}"),
		StampKind: StampAPIKey, Stamp: []byte("e30"), Nonce: []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"),
	}, enclaveCodec},
	{"do_request_plain", requestHead(methodDo), &Request{API: APISallyport, Path: "/sallyport/v1/status"}, enclaveCodec},
	{"do_answer", resultHead, &Reply{Status: 200, Body: []byte(`{"a":1}`), Proof: "eyJ9"}, hostCodec},
	{"error_answer", errorHead, Errorf(Conflict, "LENGTH", "journal has 7 entries"), enclaveCodec},
	{"append_request", requestHead(methodAppend), &appendParams{256, [][]byte{{0xaa, 0xbb}, {0xcc}}}, hostCodec},
	{"append_answer", resultHead, &nothing{}, enclaveCodec},
	{"read_range_request", requestHead(methodReadRange), &rangeParams{5, 4096}, hostCodec},
	{"read_range_answer", resultHead, &list{[][]byte{{0xaa, 0xbb}, nil}}, enclaveCodec},
	{"read_range_answer_empty", resultHead, &list{}, enclaveCodec},
	{"put_blobs_request", requestHead(methodPutBlobs), &list{[][]byte{[]byte("blob")}}, hostCodec},
	{"get_blobs_request", requestHead(methodGetBlobs), &list{[][]byte{make([]byte, 32)}}, hostCodec},
	{"create_room_request", requestHead(methodCreateRoom), &createRoomParams{RelayPort{Relay: "relay:4222", Room: goldenRoom, Party: "0b"}, 900_000}, hostCodec},
	{"open_port_request", requestHead(methodOpenPort), &RelayPort{Room: goldenRoom, Party: "0b", Inbox: true}, hostCodec},
	{"open_port_answer", resultHead, &portNumber{300}, enclaveCodec},
	{"send_port_request", requestHead(methodSendPort), &sendPortParams{300, []RelayMessage{{"0c", []byte{0xaa, 0xbb}}, {"0d", []byte{0xcc}}}}, hostCodec},
	{"receive_port_request", requestHead(methodReceivePort), &receivePortParams{300, MaxReceiveWait}, hostCodec},
	{"receive_port_answer", resultHead, &relayMessages{[]RelayMessage{{"0c", []byte{0xaa}}}}, enclaveCodec},
	{"close_port_request", requestHead(methodClosePort), &portNumber{300}, hostCodec},
	{"ask_rule_request", requestHead(methodAskRule), &RuleQuestion{URL: "https://rules.example/v1", JWT: []byte("e30.e30.")}, hostCodec},
	{"ask_rule_answer", resultHead, &RuleAnswer{Status: 200, Body: []byte("e30")}, enclaveCodec},
}

var goldenRoom = []byte{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}

// golden reads hexadecimal lines with comments.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "frames", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.TrimSpace(line))
	}
	frame, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestFramesAreTheGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			if diff := cmp.Diff(golden(t, g.name), frameOf(t, g.head, g.value)); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoldensAreRead(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			body := body(t, bytes.NewReader(golden(t, g.name)))
			got := reflect.New(reflect.TypeOf(g.value).Elem()).Interface()
			if err := readBody(g.codec, body, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(g.value, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

// readBody decodes a request's parameters, an answer's result or its error.
func readBody(c codec, body []byte, v any) error {
	if body[0] == 0xa2 {
		_, params, refused := c.request(body)
		if refused != nil {
			return refused
		}
		return c.decode(params, v)
	}
	refusal, err := c.answer(body, v)
	if refusal != nil {
		*v.(*Error) = *refusal
	}
	return err
}

// body reads one frame and returns its body.
func body(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := reader(r).next()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reader reads frames from r.
func reader(r io.Reader) *frameReader { return newFrameReader(readerConn{r: r}, doorLimits()) }

type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error)      { return c.r.Read(p) }
func (c readerConn) SetReadDeadline(time.Time) error { return nil }

// A7: however the bytes arrive, the frames are the same.
func TestA7FramesDoNotDependOnHowTheBytesArrive(t *testing.T) {
	small, large := doFrame(t), bodyFrame(bytes.Repeat([]byte{7}, 70_000))
	stream := bytes.Join([][]byte{small, small, large, small}, nil)
	arrivals := map[string]io.Reader{
		"at once":        bytes.NewReader(stream),
		"byte by byte":   iotest.OneByteReader(bytes.NewReader(stream)),
		"in halves":      iotest.HalfReader(bytes.NewReader(stream)),
		"end with bytes": iotest.DataErrReader(bytes.NewReader(stream)),
	}
	for name, arrival := range arrivals {
		t.Run(name, func(t *testing.T) {
			in := reader(arrival)
			for i, want := range [][]byte{small, small, large, small} {
				got, err := in.next()
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if !bytes.Equal(got, want[headerSize:len(want)-trailerSize]) {
					t.Fatalf("frame %d differs", i)
				}
				in.drop()
			}
			if _, err := in.next(); !errors.Is(err, io.EOF) {
				t.Fatalf("after the last frame: %v, want EOF", err)
			}
		})
	}
}

// A6: nothing of a frame that is cut short is parsed.
func TestA6TruncatedFrameIsRefusedAtEveryOffset(t *testing.T) {
	frame := doFrame(t)
	for n := range frame {
		_, err := reader(bytes.NewReader(frame[:n])).next()
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(frame), err, want)
		}
	}
}

func TestDamagedFrameIsRefusedAtEveryBit(t *testing.T) {
	frame := doFrame(t)
	for bit := range 8 * len(frame) {
		damaged := bytes.Clone(frame)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := reader(bytes.NewReader(damaged)).next(); err == nil {
			t.Errorf("bit %d: accepted", bit)
		}
	}
}

func TestBrokenHeaderIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		header string
		code   Code
		reason string
	}{
		{"A1 length zero", "0100000000", InvalidArgument, ReasonLength},
		{"A2 length negative as int32", "01ffffffff", InvalidArgument, ReasonLength},
		{"A2 length 2^31", "0180000000", InvalidArgument, ReasonLength},
		{"A3 length cap+1", "0100100001", InvalidArgument, ReasonLength},
		{"A11 version zero", "00", Unimplemented, ReasonVersion},
		{"A11 version two", "0200000001", Unimplemented, ReasonVersion},
		{"HTTP", hex.EncodeToString([]byte("GET / HTTP/1.1")), Unimplemented, ReasonVersion},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header, err := hex.DecodeString(test.header)
			if err != nil {
				t.Fatal(err)
			}
			in := reader(bytes.NewReader(header))
			_, err = in.next()
			e, _ := errors.AsType[*Error](err)
			wantReason(t, e, test.code, test.reason)
			if len(in.buf) != baseBuffer {
				t.Errorf("buffer has grown to %d", len(in.buf))
			}
		})
	}
}

func TestLargestBodyIsRead(t *testing.T) {
	want := bytes.Repeat([]byte{1}, MaxBody)
	if got := body(t, bytes.NewReader(bodyFrame(want))); !bytes.Equal(got, want) {
		t.Error("body differs")
	}
}

// A4: a length is a claim; memory follows the bytes that came.
func TestA4BufferGrowsWithTheBytesThatCame(t *testing.T) {
	frame := bodyFrame(make([]byte, MaxBody))
	for _, sent := range []int{5, 5000, 100_000, 500_000} {
		in := reader(bytes.NewReader(frame[:sent]))
		if _, err := in.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("error is %v", err)
		}
		if most := max(baseBuffer, 2*sent); len(in.buf) > most {
			t.Errorf("%d bytes came: buffer is %d, want at most %d", sent, len(in.buf), most)
		}
	}
}

func TestBudgetBoundsLargeFramesAndIsGivenBack(t *testing.T) {
	share := newBudget(100_000)
	first, second := reader(bytes.NewReader(bodyFrame(make([]byte, 80_000)))), reader(bytes.NewReader(bodyFrame(make([]byte, 80_000))))
	first.share, second.share = share, share
	if _, err := first.next(); err != nil {
		t.Fatal(err)
	}
	_, err := second.next()
	e, _ := errors.AsType[*Error](err)
	wantReason(t, e, ResourceExhausted, ReasonBusy)
	share.give(first.drop())
	second.abandon()
	if left := share.left.Load(); left != 100_000 {
		t.Errorf("%d bytes are left, want all 100000", left)
	}
}

func TestReadBufferIsWipedAfterEachFrame(t *testing.T) {
	secret := []byte("a secret that must not stay")
	for _, size := range []int{len(secret), 3 * baseBuffer} {
		padded := append(make([]byte, size-len(secret)), secret...)
		next := doFrame(t)
		in := reader(io.MultiReader(bytes.NewReader(append(bodyFrame(padded), next...))))
		if _, err := in.next(); err != nil {
			t.Fatal(err)
		}
		used := in.buf
		in.drop()
		if bytes.Contains(used, secret[:8]) || bytes.Contains(in.base, secret[:8]) {
			t.Errorf("body of %d bytes stays in a buffer", size)
		}
	}
}

func TestWriteBufferIsWipedBeforeItIsPooled(t *testing.T) {
	frame, err := encode(resultHead, &Reply{Body: []byte("a secret that must not stay")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	used := frame.Bytes()
	recycle(frame)
	if !bytes.Equal(used, make([]byte, len(used))) {
		t.Error("bytes of a frame stay in the pool")
	}
}

// writeSizes remembers how large the writes were.
type writeSizes struct {
	net.Conn
	sizes []int
}

func (w *writeSizes) SetWriteDeadline(time.Time) error { return nil }
func (w *writeSizes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return len(p), nil
}

func TestNoWriteExceeds16KiB(t *testing.T) {
	tests := []struct {
		size int
		want []int
	}{
		{1, []int{1}},
		{16 << 10, []int{16 << 10}},
		{40_000, []int{16 << 10, 16 << 10, 40_000 - 32<<10}},
	}
	for _, test := range tests {
		var w writeSizes
		if err := writeFrame(&w, make([]byte, test.size), time.Second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, w.sizes); diff != "" {
			t.Errorf("%d bytes (-want +got):\n%s", test.size, diff)
		}
	}
}

// FuzzReadFrame gives any bytes to both sides' readers. What they accept must
// be accepted again, as the same bytes, after it was encoded.
func FuzzReadFrame(f *testing.F) {
	for _, g := range goldens {
		f.Add(golden(f, g.name))
	}
	for _, s := range []string{"", "01", "0100000000", "01ffffffff", "0100100001", "02", "010000000180aabbccdd"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	for _, b := range brokenBodies {
		raw, _ := hex.DecodeString(strings.ReplaceAll(b.body, " ", ""))
		f.Add(bodyFrame(raw))
	}
	f.Add(golden(f, "do_answer_parted"))
	f.Add(bytes.Join(bodies(golden(f, "do_answer_parted")), partedHere))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzBody(t, data) // as a body, since a checksum is hard to guess
		fuzzParts(t, data)
		if body, err := reader(bytes.NewReader(data)).next(); err == nil {
			fuzzBody(t, body)
		}
	})
}

func fuzzBody(t *testing.T, body []byte) {
	if m, params, refused := enclaveCodec.request(body); refused == nil && m == methodDo {
		var r Request
		if enclaveCodec.decode(params, &r) == nil {
			again := frameOf(t, requestHead(m), &r)
			var second Request
			_, params, refused := enclaveCodec.request(again[headerSize : len(again)-trailerSize])
			if refused != nil || enclaveCodec.decode(params, &second) != nil {
				t.Fatalf("not read again: %v", refused)
			}
			if diff := cmp.Diff(r, second, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	}
	for _, v := range []any{&Reply{}, &Status{}, &list{}, &nothing{}} {
		_, _ = enclaveCodec.answer(body, v)
		_, _ = hostCodec.answer(body, v)
	}
	for _, v := range []any{&appendParams{}, &rangeParams{}, &list{}} {
		if _, params, refused := hostCodec.request(body); refused == nil {
			_ = hostCodec.decode(params, v)
		}
	}
}

// partedHere ends a body in what the fuzzer makes a stream of bodies of.
var partedHere = []byte("|parted here|")

// bodies are those of the frames of a stream.
func bodies(stream []byte) (out [][]byte) {
	in := reader(bytes.NewReader(stream))
	for {
		body, err := in.next()
		if err != nil {
			return out
		}
		out = append(out, bytes.Clone(body))
		in.drop()
	}
}

// fuzzParts reads an answer that may come in parts. One that is put together
// must come out again when it is cut into other parts.
func fuzzParts(t *testing.T, data []byte) {
	var stream []byte
	for body := range bytes.SplitSeq(data, partedHere) {
		stream = append(stream, bodyFrame(body)...)
	}
	for _, stream := range [][]byte{data, stream} {
		c := receiving(stream)
		body, err := c.answer(true)
		if err != nil || len(c.long) == 0 {
			continue
		}
		again, err := receiving(parted(t, body, (len(body)+1)/2)).answer(true)
		if err != nil || !bytes.Equal(body, again) {
			t.Fatalf("%x became %x, %v", body, again, err)
		}
	}
}
