// A key is created, signs, and leaves through the attested exit.
import test from "node:test";
import assert from "node:assert/strict";
import { generateP256KeyPair, decryptExportBundle } from "@turnkey/crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { p256 } from "@noble/curves/nist.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { start, sdk, key } from "./appliance.mjs";

const ready = await start();
const client = sdk(ready);

async function create(name, curve, ...formats) {
  const { privateKeys } = await client.createPrivateKeys({ privateKeys: [key(name, curve, ...formats)] });
  const { privateKey } = await client.getPrivateKey({ privateKeyId: privateKeys[0].privateKeyId });
  assert.deepEqual(privateKey.addresses, privateKeys[0].addresses);
  return privateKey;
}

async function takeOut(privateKey, keyFormat = "HEXADECIMAL") {
  const target = generateP256KeyPair();
  const reply = await client.exportPrivateKey({
    privateKeyId: privateKey.privateKeyId,
    targetPublicKey: target.publicKeyUncompressed,
  });
  const outer = JSON.parse(reply.exportBundle);
  for (const member of ["attestationDocument", "manifest", "attestationProof"]) assert.ok(outer[member], member);
  return decryptExportBundle({
    exportBundle: reply.exportBundle,
    embeddedKey: target.privateKey,
    organizationId: ready.organization_id,
    dangerouslyOverrideSignerPublicKey: ready.quorum_public_key,
    keyFormat,
    returnMnemonic: false,
  });
}

test("a secp256k1 key signs and its export is the same key", async () => {
  const privateKey = await create("eth", "CURVE_SECP256K1", "ADDRESS_FORMAT_ETHEREUM");
  assert.match(privateKey.addresses[0].address, /^0x[0-9a-fA-F]{40}$/);
  const { r, s, v } = await client.signRawPayload({
    signWith: privateKey.privateKeyId,
    payload: "hello",
    encoding: "PAYLOAD_ENCODING_TEXT_UTF8",
    hashFunction: "HASH_FUNCTION_SHA256",
  });
  const digest = sha256(utf8ToBytes("hello"));
  const public_ = hexToBytes(privateKey.publicKey);
  assert.ok(secp256k1.verify(hexToBytes(r + s), digest, public_, { prehash: false }));
  const recovered = secp256k1.Signature.fromBytes(hexToBytes(v + r + s), "recovered").recoverPublicKey(digest);
  assert.equal(recovered.toHex(true), privateKey.publicKey);

  const secret = await takeOut(privateKey);
  assert.equal(bytesToHex(secp256k1.getPublicKey(hexToBytes(secret), true)), privateKey.publicKey);
});

test("a P-256 key signs and its export is the same key", async () => {
  const privateKey = await create("p256", "CURVE_P256", "ADDRESS_FORMAT_COMPRESSED");
  const digest = sha256(utf8ToBytes("hello"));
  const { r, s } = await client.signRawPayload({
    signWith: privateKey.privateKeyId,
    payload: "0x" + bytesToHex(digest).toUpperCase(),
    encoding: "PAYLOAD_ENCODING_HEXADECIMAL",
    hashFunction: "HASH_FUNCTION_NO_OP",
  });
  assert.ok(p256.verify(hexToBytes(r + s), digest, hexToBytes(privateKey.publicKey), { prehash: false }));
  const secret = await takeOut(privateKey);
  assert.equal(bytesToHex(p256.getPublicKey(hexToBytes(secret), true)), privateKey.publicKey);
});

test("an Ed25519 key signs and its export is the same key", async () => {
  const privateKey = await create("sol", "CURVE_ED25519", "ADDRESS_FORMAT_SOLANA");
  const { r, s } = await client.signRawPayload({
    signWith: privateKey.addresses[0].address,
    payload: "hello",
    encoding: "PAYLOAD_ENCODING_TEXT_UTF8",
    hashFunction: "HASH_FUNCTION_NOT_APPLICABLE",
  });
  assert.ok(ed25519.verify(hexToBytes(r + s), utf8ToBytes("hello"), hexToBytes(privateKey.publicKey)));
  const secret = await takeOut(privateKey);
  assert.equal(bytesToHex(ed25519.getPublicKey(hexToBytes(secret))), privateKey.publicKey);
  const solana = await takeOut(privateKey, "SOLANA");
  assert.match(solana, /^[1-9A-HJ-NP-Za-km-z]{80,90}$/);
});

test("the clients refuse a bundle under another signer key", async () => {
  const privateKey = await create("other signer", "CURVE_SECP256K1");
  const target = generateP256KeyPair();
  const { exportBundle } = await client.exportPrivateKey({
    privateKeyId: privateKey.privateKeyId,
    targetPublicKey: target.publicKeyUncompressed,
  });
  await assert.rejects(
    decryptExportBundle({
      exportBundle,
      embeddedKey: target.privateKey,
      organizationId: ready.organization_id,
      dangerouslyOverrideSignerPublicKey: generateP256KeyPair().publicKeyUncompressed,
      returnMnemonic: false,
    }),
  );
});

test("many payloads are signed in one activity", async () => {
  const privateKey = await create("many", "CURVE_SECP256K1");
  const payloads = ["one", "two", "three"];
  const { signatures } = await client.signRawPayloads({
    signWith: privateKey.privateKeyId,
    payloads,
    encoding: "PAYLOAD_ENCODING_TEXT_UTF8",
    hashFunction: "HASH_FUNCTION_SHA256",
  });
  assert.equal(signatures.length, 3);
  payloads.forEach((text, i) => {
    const { r, s } = signatures[i];
    const ok = secp256k1.verify(hexToBytes(r + s), sha256(utf8ToBytes(text)), hexToBytes(privateKey.publicKey), {
      prehash: false,
    });
    assert.ok(ok, text);
  });
});
