package keys

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

const (
	generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" // private key 1
	doubled   = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5" // private key 2
	p256Gen   = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
)

func TestAddressesOfKnownKeys(t *testing.T) {
	fromBase64 := func(s string) string {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(b)
	}
	for _, tt := range []struct {
		format, public, want, source string
		curve                        Curve
	}{
		{"COMPRESSED", generator, generator, "SEC 2, 2.4.1", Secp256k1},
		{"UNCOMPRESSED", generator, "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8", "SEC 2, 2.4.1", Secp256k1},
		{"UNCOMPRESSED", p256Gen, "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5", "SEC 2, 2.4.2", P256},
		{"COMPRESSED", p256Gen, p256Gen, "SEC 2, 2.4.2", P256},
		{"COMPRESSED", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "RFC 8032, 7.1", Ed25519},
		{"ETHEREUM", generator, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "private key 1", Secp256k1},
		{"ETHEREUM", doubled, "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF", "private key 2", Secp256k1},
		{"TRON", generator, "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", "private key 1", Secp256k1},
		{"BITCOIN_MAINNET_P2PKH", generator, "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "private key 1", Secp256k1},
		{"BITCOIN_TESTNET_P2PKH", generator, "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r", "private key 1", Secp256k1},
		{"BITCOIN_MAINNET_P2WPKH", generator, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "BIP-173, examples", Secp256k1},
		{"BITCOIN_TESTNET_P2WPKH", generator, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "BIP-173, examples", Secp256k1},
		{"BITCOIN_REGTEST_P2WPKH", generator, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "private key 1", Secp256k1},
		{"DOGE_MAINNET", generator, "DFpN6QqFfUm3gKNaxN6tNcab1FArL9cZLE", "private key 1", Secp256k1},
		{"XRP", "0330e7fc9d56bb25d6893ba3f317ae5bcf33b3291bd63db32654a313222f7fd020", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", "XRP Ledger's genesis account", Secp256k1},
		{"COSMOS", generator, "cosmos1w508d6qejxtdg4y5r3zarvary0c5xw7k6ah60c", "private key 1", Secp256k1},
		{"SOLANA", "06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9", "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "Solana's token program", Ed25519},
		{"SOLANA", strings.Repeat("00", 32), "11111111111111111111111111111111", "Solana's system program", Ed25519},
		{"XLM", "3f0c34bf93ad0d9971d04ccc90f705511c838aad9734a4a2fb0d7a03fc7fe89a", "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ", "SEP-23, test case 1", Ed25519},
		{"SUI", fromBase64("UdGRWooy48vGTs0HBokIis5NK+DUjiWc9ENUlcfCCBE="), "0xd77a6cd55073e98d4029b1b0b8bd8d88f45f343dad2732fc9a7965094e635c55", "Sui's TypeScript library, tests", Ed25519},
		{"SUI", fromBase64("0PTAfQmNiabgbak9U/stWZzKc5nsRqokda2qnV2DTfg="), "0x7e8fd489c3d3cd9cc7cbcc577dc5d6de831e654edd9997d95c412d013e6eea23", "Sui's TypeScript library, tests", Ed25519},
		{"APTOS", "de19e5d1880cac87d57484ce9ed2e84cf0f9599f12e7cc3a52e4e7657a763f2c", "0x978c213990c4833df71548df7ce49d54c759d6b6d932de22b24d56060b7af2aa", "Aptos's TypeScript library, tests", Ed25519},
	} {
		got, err := Address("ADDRESS_FORMAT_"+tt.format, tt.curve, unhex(t, tt.public))
		if err != nil || got != tt.want {
			t.Errorf("%s of %s (%s): got %s, %v, want %s", tt.format, tt.public, tt.source, got, err, tt.want)
		}
	}
}

func TestEveryFormatHasAddressesOnItsCurvesOnly(t *testing.T) {
	for _, f := range AddressFormats {
		for _, c := range allCurves {
			_, public := generate(t, c)
			got, err := Address(f.Name, c, public)
			has := false
			for _, fc := range f.Curves {
				has = has || fc == c
			}
			if has && (err != nil || got == "") {
				t.Errorf("%s on %v: %q, %v", f.Name, c, got, err)
			}
			if !has && (err == nil || err.Error() != f.Name+" cannot be used with "+c.String()) {
				t.Errorf("%s on %v: %q, %v", f.Name, c, got, err)
			}
		}
	}
}

func TestUnknownFormatsAreRefusedByName(t *testing.T) {
	for format, want := range map[string]string{
		"ADDRESS_FORMAT_TON_V4R2":             "ADDRESS_FORMAT_TON_V4R2 is not supported",
		"ADDRESS_FORMAT_BITCOIN_MAINNET_P2TR": "ADDRESS_FORMAT_BITCOIN_MAINNET_P2TR is not supported",
		"address_format_ethereum":             `"address_format_ethereum" is not supported`,
		"\x1b[31m":                            `"\x1b[31m" is not supported`,
		"":                                    " is not supported",
	} {
		if _, err := Address(format, Secp256k1, unhex(t, generator)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", format, err, want)
		}
	}
}

func TestPointsOffTheCurveHaveNoAddress(t *testing.T) {
	for _, tt := range []struct {
		curve  Curve
		public string
	}{
		{Secp256k1, "02" + strings.Repeat("ff", 32)},
		{Secp256k1, "020000000000000000000000000000000000000000000000000000000000000005"},
		{Secp256k1, "00"},
		{Secp256k1, ""},
		{Secp256k1, p256Gen[:64]},
		{P256, "02" + strings.Repeat("ff", 32)},
		{P256, "04" + strings.Repeat("00", 64)},
		{Ed25519, "00"},
	} {
		if got, err := Address("ADDRESS_FORMAT_COMPRESSED", tt.curve, unhex(t, tt.public)); err == nil {
			t.Errorf("%v %s: got %s", tt.curve, tt.public, got)
		}
	}
}

// draft-msporny-base58-03, section 5.
func TestBase58(t *testing.T) {
	for in, want := range map[string]string{
		"Hello World!": "2NEpo7TZRRrLZSi2U",
		"The quick brown fox jumps over the lazy dog.": "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
		"\x00\x00\x28\x7f\xb4\xcd":                     "11233QC4",
		"":                                             "",
	} {
		if got := base58([]byte(in), bitcoinAlphabet); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
