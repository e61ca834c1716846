package kms

const (
	blockSize      = 16
	contentKeySize = 32                     // AES-256
	contentSize    = SecretSize + blockSize // with its padding

	// maxAnswer is more than any answer of this form has: KMS's have 493 bytes.
	maxAnswer = 1024
	maxKeyID  = 64 // bytes of a subject key identifier; KMS's have 32
)

// padding is that of PKCS #7 behind a secret that fills its blocks.
var padding = [blockSize]byte{16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}

// envelope is what an answer carries.
type envelope struct {
	wrapped [wrappedSize]byte // RSAES-OAEP of the AES-256 key
	iv      [blockSize]byte
	content [contentSize]byte // AES-256-CBC
}

// The identifiers of an answer, in DER.
var (
	// pkcs7-envelopedData and pkcs7-data, RFC 5652 sections 6.1 and 4.
	oidEnvelopedData = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}
	oidData          = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}

	// version is that of the envelope and of its recipient: 2, which says that
	// the recipient is named by a key identifier. RFC 5652 section 6.2.1.
	version = []byte{2, 1, 2}

	// oaepSHA256 is id-RSAES-OAEP with SHA-256, MGF1 with SHA-256, and no label.
	// RFC 4055 section 4.1. KMS gives SHA-256 a parameter, which is NULL.
	oaepSHA256 = []byte{
		0x30, 0x3c, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7,
		0x30, 0x2f,
		0xa0, 0x0f, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0,
		0xa1, 0x1c, 0x30, 0x1a, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
		0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0,
	}
	// oaepSHA256Bare is the same without the NULLs, as OpenSSL writes it. RFC 4055
	// section 2.1 wants both taken.
	oaepSHA256Bare = []byte{
		0x30, 0x38, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7,
		0x30, 0x2b,
		0xa0, 0x0d, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1,
		0xa1, 0x1a, 0x30, 0x18, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
		0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1,
	}

	// aes256CBC is followed by the IV of 16 bytes. RFC 3565 section 4.1.
	aes256CBC = []byte{0x30, 0x1d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a, 4, blockSize}
)

// The tags of an answer.
const (
	tagOctets   = 0x04
	tagSequence = 0x30
	tagSet      = 0x31
	tagKeyID    = 0x80 // [0] IMPLICIT OCTET STRING
	tagContent  = 0x80 // as tagKeyID
	tagWrapper  = 0xa0 // [0] EXPLICIT, or content in parts
)

// parse reads the one form that KMS answers have, and returns 1, or 0 for
// anything else:
//
//	ContentInfo SEQUENCE {
//	  envelopedData
//	  [0] EnvelopedData SEQUENCE {
//	    2
//	    SET { KeyTransRecipientInfo SEQUENCE {
//	      2, [0] key identifier, RSAES-OAEP with SHA-256, OCTET STRING of 256 bytes
//	    } }
//	    EncryptedContentInfo SEQUENCE {
//	      data
//	      aes256-CBC with its IV
//	      [0] 48 bytes, at once or as OCTET STRINGs
//	    }
//	  }
//	}
//
// This is CMS, RFC 5652 section 6, without originators, attributes and further
// recipients. It is in BER, not DER: KMS leaves the lengths of the outer parts
// open. The key identifier is not checked: AWS does not say of what it is a hash,
// and it adds nothing to a key that is used once.
func parse(answer []byte) (*envelope, int) {
	if len(answer) > maxAnswer {
		return nil, 0
	}
	e := new(envelope)
	r := &reader{rest: answer}
	r.group(tagSequence, func(r *reader) {
		r.literal(oidEnvelopedData)
		r.group(tagWrapper, func(r *reader) { r.group(tagSequence, e.enveloped) })
	})
	if r.failed || len(r.rest) != 0 {
		return nil, 0
	}
	return e, 1
}

func (e *envelope) enveloped(r *reader) {
	r.literal(version)
	r.group(tagSet, func(r *reader) { r.group(tagSequence, e.recipient) })
	r.group(tagSequence, e.encrypted)
}

func (e *envelope) recipient(r *reader) {
	r.literal(version)
	if n := len(r.octets(tagKeyID)); n == 0 || n > maxKeyID {
		r.fail()
	}
	r.literal(oaepSHA256, oaepSHA256Bare)
	r.exactly(e.wrapped[:], r.octets(tagOctets))
}

func (e *envelope) encrypted(r *reader) {
	r.literal(oidData)
	r.literal(aes256CBC)
	r.exactly(e.iv[:], r.take(blockSize))
	if r.next() == tagContent {
		r.exactly(e.content[:], r.octets(tagContent))
		return
	}
	var whole []byte
	r.group(tagWrapper, func(r *reader) {
		for r.next() == tagOctets {
			part := r.octets(tagOctets)
			if len(part) == 0 {
				r.fail()
			}
			whole = append(whole, part...)
		}
	})
	r.exactly(e.content[:], whole)
}
