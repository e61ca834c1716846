package keys

import (
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"golang.org/x/crypto/blake2b"
	//lint:ignore SA1019 Bitcoin's addresses are made with it
	"golang.org/x/crypto/ripemd160"
)

// AddressFormat says how an address is made.
type AddressFormat struct {
	// Name is that of the activity API: "ADDRESS_FORMAT_ETHEREUM".
	Name string
	// Curves are those the format exists for.
	Curves []Curve

	encode func(c Curve, public []byte) (string, error)
}

var (
	onSecp256k1 = []Curve{Secp256k1}
	onEd25519   = []Curve{Ed25519}
)

// AddressFormats is the table of all formats supported. Formats that need
// more than a public key (scripts, tweaked keys, contract code) are left out:
// an address for which this package cannot sign would lose what is sent to it.
var AddressFormats = []AddressFormat{
	{"ADDRESS_FORMAT_UNCOMPRESSED", []Curve{Secp256k1, P256}, uncompressedAddress},
	{"ADDRESS_FORMAT_COMPRESSED", []Curve{Secp256k1, P256, Ed25519}, compressedAddress},
	{"ADDRESS_FORMAT_ETHEREUM", onSecp256k1, ethereumAddress},
	{"ADDRESS_FORMAT_TRON", onSecp256k1, tronAddress},
	{"ADDRESS_FORMAT_COSMOS", onSecp256k1, cosmosAddress},
	{"ADDRESS_FORMAT_XRP", onSecp256k1, pubKeyHash(0x00, rippleAlphabet)},
	{"ADDRESS_FORMAT_BITCOIN_MAINNET_P2PKH", onSecp256k1, pubKeyHash(0x00, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_BITCOIN_TESTNET_P2PKH", onSecp256k1, pubKeyHash(0x6f, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_BITCOIN_SIGNET_P2PKH", onSecp256k1, pubKeyHash(0x6f, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_BITCOIN_REGTEST_P2PKH", onSecp256k1, pubKeyHash(0x6f, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_BITCOIN_MAINNET_P2WPKH", onSecp256k1, witnessKeyHash("bc")},
	{"ADDRESS_FORMAT_BITCOIN_TESTNET_P2WPKH", onSecp256k1, witnessKeyHash("tb")},
	{"ADDRESS_FORMAT_BITCOIN_SIGNET_P2WPKH", onSecp256k1, witnessKeyHash("tb")},
	{"ADDRESS_FORMAT_BITCOIN_REGTEST_P2WPKH", onSecp256k1, witnessKeyHash("bcrt")},
	{"ADDRESS_FORMAT_DOGE_MAINNET", onSecp256k1, pubKeyHash(0x1e, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_DOGE_TESTNET", onSecp256k1, pubKeyHash(0x71, bitcoinAlphabet)},
	{"ADDRESS_FORMAT_SOLANA", onEd25519, solanaAddress},
	{"ADDRESS_FORMAT_XLM", onEd25519, stellarAddress},
	{"ADDRESS_FORMAT_SUI", onEd25519, suiAddress},
	{"ADDRESS_FORMAT_APTOS", onEd25519, aptosAddress},
}

// CheckAddressFormat refuses formats that are not supported, and formats of
// another curve, before there is a key.
func CheckAddressFormat(format string, c Curve) error {
	_, err := findFormat(format, c)
	return err
}

func findFormat(format string, c Curve) (*AddressFormat, error) {
	i := slices.IndexFunc(AddressFormats, func(f AddressFormat) bool { return f.Name == format })
	if i < 0 {
		return nil, fmt.Errorf("%s is not supported", printable(format))
	}
	if f := &AddressFormats[i]; slices.Contains(f.Curves, c) {
		return f, nil
	}
	return nil, fmt.Errorf("%s cannot be used with %v", format, c)
}

// Address returns the address of a public key as [PublicKey] gives it. It
// refuses formats it does not know, formats of another curve, and points
// that are not on the curve.
func Address(format string, c Curve, public []byte) (string, error) {
	f, err := findFormat(format, c)
	if err != nil {
		return "", err
	}
	if c == Ed25519 {
		if len(public) != Size {
			return "", fmt.Errorf("public key: must be %d bytes, not %d", Size, len(public))
		}
	} else if _, err := Uncompress(c, public); err != nil {
		return "", err
	}
	return f.encode(c, public)
}

// printable returns a name made of capitals, digits and underscores as it
// is, and anything else quoted and cut.
func printable(name string) string {
	for _, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return fmt.Sprintf("%.64q", name)
		}
	}
	return fmt.Sprintf("%.64s", name)
}

func compressedAddress(_ Curve, public []byte) (string, error) {
	return hex.EncodeToString(public), nil
}

func uncompressedAddress(c Curve, public []byte) (string, error) {
	long, err := Uncompress(c, public)
	return hex.EncodeToString(long), err
}

// ethereumHash is the last 20 bytes of Keccak-256 over the point (Yellow
// Paper, appendix F).
func ethereumHash(c Curve, public []byte) ([]byte, error) {
	long, err := Uncompress(c, public)
	if err != nil {
		return nil, err
	}
	return keccak256(long[1:])[12:], nil
}

// ethereumAddress has the checksum of EIP-55: a letter is upper case where
// the digit of the hash of the lower-case address is above 7.
func ethereumAddress(c Curve, public []byte) (string, error) {
	hash, err := ethereumHash(c, public)
	if err != nil {
		return "", err
	}
	text := []byte(hex.EncodeToString(hash))
	sum := hex.EncodeToString(keccak256(text))
	for i, d := range text {
		if d >= 'a' && sum[i] > '7' {
			text[i] = d - 'a' + 'A'
		}
	}
	return "0x" + string(text), nil
}

func tronAddress(c Curve, public []byte) (string, error) {
	hash, err := ethereumHash(c, public)
	return base58Check(append([]byte{0x41}, hash...), bitcoinAlphabet), err
}

func hash160(public []byte) []byte {
	inner := sha256.Sum256(public)
	h := ripemd160.New()
	_, _ = h.Write(inner[:])
	return h.Sum(nil)
}

func pubKeyHash(version byte, alphabet string) func(Curve, []byte) (string, error) {
	return func(_ Curve, public []byte) (string, error) {
		return base58Check(append([]byte{version}, hash160(public)...), alphabet), nil
	}
}

// witnessKeyHash is version 0 of BIP-141 and BIP-173.
func witnessKeyHash(hrp string) func(Curve, []byte) (string, error) {
	return func(_ Curve, public []byte) (string, error) {
		return bech32(hrp, append([]byte{0}, to5Bits(hash160(public))...)), nil
	}
}

func cosmosAddress(_ Curve, public []byte) (string, error) {
	return bech32("cosmos", to5Bits(hash160(public))), nil
}

func solanaAddress(_ Curve, public []byte) (string, error) {
	return base58(public, bitcoinAlphabet), nil
}

// stellarAddress is a StrKey of type G (SEP-23), with its CRC little endian.
func stellarAddress(_ Curve, public []byte) (string, error) {
	raw := append([]byte{6 << 3}, public...)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(raw, crc16(raw))), nil
}

// suiAddress hashes the scheme flag, 0 for Ed25519, and the key.
func suiAddress(_ Curve, public []byte) (string, error) {
	sum := blake2b.Sum256(append([]byte{0}, public...))
	return "0x" + hex.EncodeToString(sum[:]), nil
}

// aptosAddress hashes the key and the scheme, 0 for a single Ed25519 key.
func aptosAddress(_ Curve, public []byte) (string, error) {
	sum := sha3.Sum256(append(slices.Clone(public), 0))
	return "0x" + hex.EncodeToString(sum[:]), nil
}
