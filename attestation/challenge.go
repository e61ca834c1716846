package attestation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// The module is slow and serial, so the clients that wait share one document:
// its nonce is the root of a Merkle tree over their nonces. The shape of the
// tree and of its inclusion paths is that of RFC 9162 section 2.1; the leaves
// have a label, so that no other tree can be taken for this one.
const challengeLabel = "sallyport challenge nonce v1"

// maxChallenges bounds the size of a tree that a path may claim.
const maxChallenges = 1 << 20

// ChallengePath leads from one client's nonce to the nonce of a document.
type ChallengePath struct {
	// Index is the client's place among Size nonces, from 0.
	Index int64 `json:"index" strict:"required"`
	Size  int64 `json:"size" strict:"required"`
	// Hashes are the siblings from the leaf up, 64 lower-case hex digits each.
	Hashes []string `json:"hashes" strict:"required"`
}

// FreshAttestation is a challenge document with one client's path into it.
type FreshAttestation struct {
	// Document is base64 in JSON.
	Document []byte        `json:"document" strict:"required"`
	Path     ChallengePath `json:"path" strict:"required"`
}

// ChallengeTree returns the 32-byte root over the clients' nonces and the path
// of each, in the same order. No nonces have no root.
func ChallengeTree(nonces [][]byte) (root []byte, paths []ChallengePath) {
	if len(nonces) == 0 {
		return nil, nil
	}
	leaves := make([][32]byte, len(nonces))
	paths = make([]ChallengePath, len(nonces))
	for i, nonce := range nonces {
		leaves[i] = challengeLeaf(nonce)
		paths[i] = ChallengePath{Index: int64(i), Size: int64(len(nonces)), Hashes: []string{}}
	}
	sum := subtree(leaves, paths)
	return sum[:], paths
}

// subtree returns the root of some leaves and appends to each path the siblings
// inside this subtree.
func subtree(leaves [][32]byte, paths []ChallengePath) [32]byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	left, right := subtree(leaves[:split], paths[:split]), subtree(leaves[split:], paths[split:])
	for i := range paths {
		sibling := left
		if i < split {
			sibling = right
		}
		paths[i].Hashes = append(paths[i].Hashes, hex.EncodeToString(sibling[:]))
	}
	return challengeNode(left, right)
}

func challengeLeaf(nonce []byte) [32]byte {
	b := append([]byte{0}, challengeLabel...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(nonce)))
	return sha256.Sum256(append(b, nonce...))
}

func challengeNode(left, right [32]byte) [32]byte {
	b := append([]byte{1}, left[:]...)
	return sha256.Sum256(append(b, right[:]...))
}

// Root returns the root that the path leads to from a client's nonce.
// RFC 9162 section 2.1.3.2.
func (p ChallengePath) Root(clientNonce []byte) ([]byte, error) {
	if p.Size < 1 || p.Size > maxChallenges || p.Index < 0 || p.Index >= p.Size {
		return nil, refuse(ReasonNonce, "path: index %d of %d is not a place in a tree", p.Index, p.Size)
	}
	sum, at, last := challengeLeaf(clientNonce), p.Index, p.Size-1
	for _, text := range p.Hashes {
		sibling, err := lowerHex(text, sha256.Size)
		if err != nil {
			return nil, refuse(ReasonNonce, "path: a hash %v", err)
		}
		if last == 0 {
			return nil, refuse(ReasonNonce, "path: has too many hashes")
		}
		if at&1 == 1 || at == last {
			sum = challengeNode([32]byte(sibling), sum)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			sum = challengeNode(sum, [32]byte(sibling))
		}
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return nil, refuse(ReasonNonce, "path: has too few hashes")
	}
	return sum[:], nil
}

// VerifyChallenge verifies a challenge document that was made for the caller's
// nonce, among others: it is [VerifyLive] with the root that the path leads to.
// The client's nonce has 16 to 512 random bytes, used once.
func VerifyChallenge(fresh FreshAttestation, t Trust, e Expect, clientNonce []byte, now time.Time) (*Document, error) {
	if e.Kind != KindChallenge {
		return nil, refuse(ReasonUsage, "only challenge documents have a path")
	}
	if len(clientNonce) < minNonce || len(clientNonce) > MaxNonce {
		return nil, refuse(ReasonUsage, "a nonce must have %d to %d bytes", minNonce, MaxNonce)
	}
	root, err := fresh.Path.Root(clientNonce)
	if err != nil {
		return nil, err
	}
	return VerifyLive(fresh.Document, t, e, root, now)
}
