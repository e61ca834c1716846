// One appliance for one test file: `sallyport dev --json`, stopped at the end.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { Turnkey } from "@turnkey/sdk-server";
import { TurnkeyClient } from "@turnkey/http";
import { ApiKeyStamper } from "@turnkey/api-key-stamper";

const binary = process.env.SALLYPORT_BIN ?? new URL("../../bin/sallyport", import.meta.url).pathname;

/** Starts an appliance and resolves to its ready line. */
export async function start(...flags) {
  const child = spawn(binary, ["dev", "--json", ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk) => (log += chunk));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  after(async () => {
    child.kill("SIGTERM");
    await gone;
  });
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise((resolve) => lines.once("line", resolve)),
    gone.then((code) => Promise.reject(new Error(`dev exited with ${code}: ${log}`))),
  ]);
  return JSON.parse(first);
}

/** The sdk-server client of the index-th user, its base URL the only change. */
export function sdk(ready, index = 0, overrides = {}) {
  const user = ready.users[index];
  return new Turnkey({
    apiBaseUrl: ready.base_url,
    defaultOrganizationId: ready.organization_id,
    apiPublicKey: user.api_public_key,
    apiPrivateKey: user.api_private_key,
    activityPoller: { intervalMs: 20, numRetries: 1 },
    ...overrides,
  }).apiClient();
}

/** The lower-level client of the index-th user. */
export function http(ready, index = 0) {
  const user = ready.users[index];
  const stamper = new ApiKeyStamper({ apiPublicKey: user.api_public_key, apiPrivateKey: user.api_private_key });
  return new TurnkeyClient({ baseUrl: ready.base_url }, stamper);
}

/** POSTs an exact body with a stamp of one's choice. */
export async function post(ready, path, body, stamp) {
  const headers = { "Content-Type": "application/json" };
  if (stamp !== undefined) headers["X-Stamp"] = stamp;
  const response = await fetch(ready.base_url + path, { method: "POST", headers, body });
  return { status: response.status, type: response.headers.get("content-type"), json: await response.json() };
}

/** The X-Stamp value of a body by the index-th user. */
export async function stamp(ready, body, index = 0) {
  const user = ready.users[index];
  const stamper = new ApiKeyStamper({ apiPublicKey: user.api_public_key, apiPrivateKey: user.api_private_key });
  return (await stamper.stamp(body)).stampHeaderValue;
}

export const key = (privateKeyName, curve, ...addressFormats) => ({
  privateKeyName,
  curve,
  privateKeyTags: [],
  addressFormats,
});
