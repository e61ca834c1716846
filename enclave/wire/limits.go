package wire

import "time"

// Sizes. Each one bounds what a peer that is not believed can make this side
// allocate, parse or keep.
const (
	// FrameVersion is the only frame version that is spoken. Versions below
	// it do not exist and are not negotiated: there is nothing to downgrade to.
	FrameVersion = 1

	// MaxBody bounds the body of a frame. The largest honest ones are a
	// batch of journal records (512 KiB) and a range of them (768 KiB). Only
	// an answer of Do may be longer, and crosses in parts then.
	MaxBody = 1 << 20

	// maxPart bounds a part of a long answer. The frame made of it is all
	// that is copied of the answer to write it; smaller parts would save
	// nothing beside the answer itself.
	maxPart = 512 << 10

	// maxAnswer bounds the body of a long answer. A private key takes about
	// 500 bytes in list_private_keys, so this holds 60,000 of them. Two such
	// answers may wait to be written at once, see limits.memory.
	maxAnswer = 32 << 20

	// headerSize is the version byte and the body length.
	headerSize = 5
	// trailerSize is the CRC-32C.
	trailerSize = 4

	// maxWrite bounds a single Write. Linux sends a vsock packet of more
	// than 32 KiB in several descriptors, which hypervisors are reported to
	// corrupt; half of that leaves room for headers.
	maxWrite = 16 << 10

	// baseBuffer is the read buffer that a connection owns for its life. An
	// ordinary call fits; 1024 connections hold 4 MiB of them.
	baseBuffer = 4 << 10

	// maxPooled bounds the write buffers that are kept for the next call, so
	// that a few large frames do not pin their size for good.
	maxPooled = 64 << 10

	// maxDepth bounds the nesting of maps and arrays. The deepest message, a
	// map in a list in parameters in the envelope, has 4.
	maxDepth = 8

	// maxElements bounds an array, whose elements cost 24 bytes each for 1
	// on the wire. It is MaxRange, the longest honest list.
	maxElements = MaxRange

	// maxPairs bounds a map. The largest type has 12 fields.
	maxPairs = 32

	// maxPath bounds Request.Path. The longest route of either API is under
	// 100 bytes; the limit also bounds what is echoed into logs.
	maxPath = 512

	// maxQuery and maxAuthorization bound what the node API takes beside path
	// and body: a few identifiers, and a token of 64 digits.
	maxQuery, maxAuthorization = 4096, 512

	// minNonce and maxNonce bound Request.Nonce, as its comment says.
	minNonce, maxNonce = 16, 64

	// maxMessage and maxReason bound what an error may carry across: a
	// sentence and an identifier, so that an answer's error cannot fill a log.
	maxMessage, maxReason = 4096, 64
	// maxCulprits and maxCulprit bound the parties that an error blames, each
	// a party id of 100 digits.
	maxCulprits, maxCulprit = 16, 128

	// blobName is the length of a SHA-256.
	blobName = 32

	// maxIdle bounds the idle connections that a client keeps. A host with
	// more than that many requests under way dials for the rest.
	maxIdle = 64
)

// limits are what a test makes small. The zero value is of no use.
type limits struct {
	first time.Duration // until the first frame of a new connection begins
	idle  time.Duration // between the calls on a connection
	frame time.Duration // for the rest of a frame that has begun
	write time.Duration // for a whole frame to be taken by the peer
	dial  time.Duration // until a connection stands
	watch time.Duration // that a call lasts before its connection is watched
	grace time.Duration // for calls under way when the server stops
	abort time.Duration // for a cancelled call to return after that

	conns  int   // connections that a server holds
	memory int64 // bytes of large frames and long answers that a server holds
	part   int   // bytes of each part of a long answer but the last
}

// doorLimits are those of every real door.
func doorLimits() limits {
	return limits{
		// A client dials because it has a call to make. A connection that
		// says nothing is a leak or an attack on the connection cap.
		first: 10 * time.Second,
		// A pooled connection costs a goroutine and 4 KiB on the server.
		idle: 5 * time.Minute,
		// 1 MiB in 10 s is 100 KiB/s, far below any door.
		frame: 10 * time.Second,
		write: 10 * time.Second,
		// A vsock peer that is not there never answers a connect.
		dial: 10 * time.Second,
		// Longer than nearly all calls, shorter than anybody waits in vain.
		watch: 20 * time.Millisecond,
		// A signature takes under 1 ms, a durable append under 100 ms.
		grace: 3 * time.Second,
		abort: time.Second,

		// Far above the clients' 64 idle connections, and small enough for
		// the smallest enclave.
		conns: 1024,
		// Bodies beyond baseBuffer, from their first byte until their call is
		// answered: 64 of the largest at once. Long answers until they are
		// written: two of the longest.
		memory: 64 << 20,
		part:   maxPart,
	}
}
