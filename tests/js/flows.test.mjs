// Consensus, idempotency and refusals, as the published clients see them.
import test from "node:test";
import assert from "node:assert/strict";
import { TurnkeyRequestError, createActivityPoller, TurnkeyActivityError } from "@turnkey/http";
import { generateP256KeyPair, decryptExportBundle } from "@turnkey/crypto";
import { start, sdk, http, post, stamp, key } from "./appliance.mjs";

const ready = await start("--root-users", "3", "--quorum", "2");
const [alice, bob] = [sdk(ready, 0), sdk(ready, 1)];

async function refusal(promise, code, pattern) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, "TurnkeyRequestError");
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  });
}

async function pendingKey(name) {
  const { activity } = await alice.createPrivateKeys({ privateKeys: [key(name, "CURVE_SECP256K1")] });
  assert.equal(activity.status, "ACTIVITY_STATUS_CONSENSUS_NEEDED");
  assert.deepEqual(activity.result, {});
  return activity;
}

test("the second approval carries the activity out", async () => {
  const pending = await pendingKey("approved");
  const reply = await bob.approveActivity({ fingerprint: pending.fingerprint });
  assert.equal(reply.activity.id, pending.id);
  assert.equal(reply.activity.status, "ACTIVITY_STATUS_COMPLETED");
  const id = reply.activity.result.createPrivateKeysResultV2.privateKeys[0].privateKeyId;
  const { privateKeys } = await alice.getPrivateKeys();
  assert.ok(privateKeys.some((k) => k.privateKeyId === id));
  assert.equal(reply.activity.votes.length, 2);
});

test("a rejection ends the activity", async () => {
  const pending = await pendingKey("rejected");
  const reply = await bob.rejectActivity({ fingerprint: pending.fingerprint });
  assert.equal(reply.activity.status, "ACTIVITY_STATUS_REJECTED");
  await refusal(sdk(ready, 2).approveActivity({ fingerprint: pending.fingerprint }), 3, /no more votes/);
  const { privateKeys } = await alice.getPrivateKeys();
  assert.ok(!privateKeys.some((k) => k.privateKeyName === "rejected"));
});

test("an export waits for its second approval", async () => {
  const made = await pendingKey("to export");
  const approved = await bob.approveActivity({ fingerprint: made.fingerprint });
  const privateKeyId = approved.activity.result.createPrivateKeysResultV2.privateKeys[0].privateKeyId;
  const target = generateP256KeyPair();
  const pending = await alice.exportPrivateKey({ privateKeyId, targetPublicKey: target.publicKeyUncompressed });
  assert.equal(pending.activity.status, "ACTIVITY_STATUS_CONSENSUS_NEEDED");
  assert.equal(pending.exportBundle, undefined);
  await bob.approveActivity({ fingerprint: pending.activity.fingerprint });
  const { activity } = await alice.getActivity({ activityId: pending.activity.id });
  const secret = await decryptExportBundle({
    exportBundle: activity.result.exportPrivateKeyResult.exportBundle,
    embeddedKey: target.privateKey,
    organizationId: ready.organization_id,
    dangerouslyOverrideSignerPublicKey: ready.quorum_public_key,
    returnMnemonic: false,
  });
  assert.match(secret, /^[0-9a-f]{64}$/);
});

test("the same body again is the same activity", async () => {
  const body = JSON.stringify({
    type: "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2",
    timestampMs: String(Date.now()),
    organizationId: ready.organization_id,
    parameters: { privateKeys: [key("once", "CURVE_P256")] },
  });
  const path = "/public/v1/submit/create_private_keys";
  const first = await post(ready, path, body, await stamp(ready, body));
  const second = await post(ready, path, body, await stamp(ready, body));
  assert.equal(first.status, 200);
  assert.equal(first.type, "application/json");
  assert.equal(second.json.activity.id, first.json.activity.id);
  assert.equal(second.json.activity.votes.length, 1);
  const third = await post(ready, path, body, await stamp(ready, body, 1));
  assert.equal(third.json.activity.status, "ACTIVITY_STATUS_COMPLETED");
  assert.equal(third.json.activity.votes.length, 2);
});

test("the http client lists, reads and polls", async () => {
  const client = http(ready);
  const organizationId = ready.organization_id;
  const who = await client.getWhoami({ organizationId });
  assert.equal(who.userId, ready.users[0].user_id);
  assert.equal(who.organizationId, organizationId);
  const { users } = await client.getUsers({ organizationId });
  assert.equal(users.length, 3);
  const { activities } = await client.getActivities({ organizationId, paginationOptions: { limit: "2" } });
  assert.equal(activities.length, 2);
  const poll = createActivityPoller({ client, requestFn: client.createPrivateKeys, refreshIntervalMs: 50 });
  await assert.rejects(
    poll({
      type: "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2",
      timestampMs: String(Date.now()),
      organizationId,
      parameters: { privateKeys: [key("polled", "CURVE_ED25519")] },
    }),
    (error) => error instanceof TurnkeyActivityError && error.activityStatus === "ACTIVITY_STATUS_CONSENSUS_NEEDED",
  );
});

test("refusals carry the documented codes", async () => {
  const organizationId = ready.organization_id;
  const stranger = generateP256KeyPair();
  const strange = { apiPublicKey: stranger.publicKey, apiPrivateKey: stranger.privateKey };
  await refusal(sdk(ready, 0, strange).getWhoami(), 16, /could not find public key in organization/);
  await refusal(
    sdk(ready, 0, { defaultOrganizationId: "7e9b2a4c-0000-8000-8000-000000000000" }).getWhoami(),
    5,
    /no organization found with the given ID/,
  );
  await refusal(sdk(ready, 0, { defaultOrganizationId: "nonsense" }).getWhoami(), 3, /malformed organization ID provided/);
  await refusal(
    http(ready).createPrivateKeys({
      type: "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2",
      timestampMs: String(Date.now() - 3_600_001),
      organizationId,
      parameters: { privateKeys: [key("late", "CURVE_P256")] },
    }),
    3,
    /timestampMs/,
  );
  await refusal(alice.approveActivity({ fingerprint: "sha256:" + "0".repeat(64) }), 5, /No activity found with fingerprint/);
  await refusal(alice.getPrivateKey({ privateKeyId: "7e9b2a4c-0000-8000-8000-000000000000" }), 5, /no such private key/);
  assert.ok(TurnkeyRequestError);

  const body = JSON.stringify({ organizationId });
  const changed = await post(ready, "/public/v1/query/whoami", body + " ", await stamp(ready, body));
  assert.equal(changed.status, 401);
  assert.equal(changed.json.code, 16);
  assert.match(changed.json.message, /could not verify api key signature/);
  for (const bad of ["", "!", "e30"]) {
    const { status, json } = await post(ready, "/public/v1/query/whoami", body, bad);
    assert.equal(status, 401, bad);
    assert.ok(Array.isArray(json.details));
  }
  const nowhere = await post(ready, "/no/such/path", body, await stamp(ready, body));
  assert.equal(nowhere.status, 404);
  assert.equal(nowhere.json.code, 5);
});

test("a user who is not in the root quorum is denied, and the denial is kept", async () => {
  const carol = generateP256KeyPair();
  const pending = await alice.createUsers({
    users: [
      {
        userName: "carol",
        apiKeys: [{ apiKeyName: "k", publicKey: carol.publicKey, curveType: "API_KEY_CURVE_P256" }],
        authenticators: [],
        oauthProviders: [],
        userTags: [],
      },
    ],
  });
  const { activity } = await bob.approveActivity({ fingerprint: pending.activity.fingerprint });
  const [userId] = activity.result.createUsersResult.userIds;
  const client = sdk(ready, 0, { apiPublicKey: carol.publicKey, apiPrivateKey: carol.privateKey });
  assert.equal((await client.getWhoami()).userId, userId);
  await refusal(
    client.createPrivateKeys({ privateKeys: [key("denied", "CURVE_P256")] }),
    7,
    /^Turnkey error 7: You don't have sufficient permissions/,
  );
  const { activities } = await alice.getActivities({ filterByStatus: ["ACTIVITY_STATUS_REJECTED"] });
  assert.equal(activities[0].votes[0].userId, userId);
  assert.equal(activities[0].failure.code, 7);
});
