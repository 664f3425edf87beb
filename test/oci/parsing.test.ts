import { describe, expect, test } from "@jest/globals";
import { findLogin } from "../../oci/docker-config.ts";
import { formatImageReference, parseImageReference } from "../../oci/image-reference.ts";
import { choosePlatform, parseConfig, parseManifest, parsePlatform } from "../../oci/manifests.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { parseChallenge } from "../../oci/registry-login.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value));
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("names of images", () => {
  test.each([
    ["node", "docker.io/library/node:latest"],
    ["node:24-slim", "docker.io/library/node:24-slim"],
    ["alice/echo", "docker.io/alice/echo:latest"],
    ["ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"],
    ["localhost/echo", "localhost/echo:latest"],
    ["localhost:5000/echo:1", "localhost:5000/echo:1"],
    ["[::1]:5000/echo", "[::1]:5000/echo:latest"],
    [`registry.example/echo@${DIGEST}`, `registry.example/echo@${DIGEST}`],
    [`registry.example/echo:1@${DIGEST}`, `registry.example/echo:1@${DIGEST}`],
    ["a__b/c-d--e.f_g:_x", "docker.io/a__b/c-d--e.f_g:_x"],
  ])("%s is %s", (text, whole) => {
    const reference = parseImageReference(text);
    expect(formatImageReference(reference)).toBe(whole);
    expect(parseImageReference(whole)).toEqual(reference);
  });

  test.each([
    ["", "path"],
    ["Node", "path"],
    ["a//b", "path"],
    ["../etc", "host"],
    ["a/../b", "path"],
    ["a b", "path"],
    ["a?x=1", "path"],
    ["a#b", "path"],
    ["registry.example/", "path"],
    [`a/${"b".repeat(300)}`, "path"],
    ["a:", "tag"],
    ["a:b:c", "tag"],
    [`a:${"x".repeat(129)}`, "tag"],
    ["a:-x", "tag"],
    ["a@sha256:abc", "digest"],
    [`a@${DIGEST}@${DIGEST}`, "digest"],
    [`a@sha512:${"a".repeat(128)}`, "digest"],
    ["user@host.example/a", "digest"],
    ["ho_st.example:80/a", "host"],
    ["registry.example:99999999/a", "host"],
  ])("%j is none: %s", (text, rule) => {
    expect(() => parseImageReference(text)).toThrow(rule);
  });
});

describe("logins of a Docker client", () => {
  const auths = (key: string, entry: object) => JSON.stringify({ auths: { [key]: entry } });
  const login = { username: "me", password: "a:secret" };
  const entry = { auth: base64("me:a:secret") };

  test.each([
    ["a host", auths("registry.example", entry), "registry.example", login],
    ["a URL", auths("https://registry.example/v2/", entry), "registry.example", login],
    ["a port", auths("registry.example:5000", entry), "registry.example:5000", login],
    ["Docker Hub's old address", auths("https://index.docker.io/v1/", entry), "docker.io", login],
    ["fields of their own", auths("registry.example", login), "registry.example", login],
    ["another host", auths("registry.example", entry), "elsewhere.example", undefined],
    ["another port", auths("registry.example:5000", entry), "registry.example", undefined],
    ["nothing", "{}", "registry.example", undefined],
    ["a store for nothing", JSON.stringify({ credsStore: "desktop" }), "registry.example", undefined],
  ])("are found by %s", (_what, text, registry, expected) => {
    expect(findLogin(text, registry)).toEqual(expected);
  });

  test.each([
    ["{", "not JSON"],
    ["[]", "malformed"],
    [JSON.stringify({ auths: [] }), "auths"],
    [auths("registry.example", { auth: "geheim" }), "is no login"],
    [JSON.stringify({ credHelpers: { "registry.example": "gcloud" } }), "docker-credential-gcloud"],
    [JSON.stringify({ auths: { "registry.example": {} }, credsStore: "desktop" }), "docker-credential-desktop"],
  ])("%s is refused: %s", (text, why) => {
    expect(() => findLogin(text, "registry.example")).toThrow(why);
  });

  test("errors never hold what the file holds", () => {
    for (const text of ['{"auths": hunter2', auths("registry.example", { auth: base64("hunter2") })]) {
      expect(() => findLogin(text, "registry.example")).toThrow(/^(?!.*hunter2)/);
      expect(() => findLogin(text, "registry.example")).toThrow(/^(?!.*aHVudGVyMg)/);
    }
  });
});

describe("challenges", () => {
  test.each([
    ['Bearer realm="https://auth.example/token",service="registry.example"', "bearer", "registry.example"],
    ["bearer realm=https://auth.example/token", "bearer", undefined],
    ['Bearer service="a, b" , realm="https://auth.example/token?x=1"', "bearer", "a, b"],
    ['Basic realm="registry"', "basic", undefined],
  ])("%s is one of %s", (header, scheme, service) => {
    expect(parseChallenge(header)).toMatchObject({ scheme, ...(service && { service }) });
  });

  test.each(["", "Negotiate", "Bearer", 'Bearer realm="file:///etc/passwd"', 'Bearer realm="nowhere"', "Bearer x"])(
    "%j is none that is known",
    (header) => expect(parseChallenge(header)).toBeUndefined(),
  );
});

describe("manifests", () => {
  const config = { mediaType: MEDIA_TYPES.config, digest: DIGEST, size: 1 };
  const platforms = ["amd64", "arm64"].map((architecture, i) => ({
    mediaType: MEDIA_TYPES.manifest,
    digest: `sha256:${String(i).repeat(64)}`,
    size: 1,
    platform: { os: "linux", architecture },
  }));
  const attestation = { ...platforms[0], platform: { os: "unknown", architecture: "unknown" } };

  test("an index names the image for a platform, attestations apart", () => {
    const index = encode({ manifests: [attestation, ...platforms] });
    expect(choosePlatform(index, parsePlatform("linux/arm64"), "x")).toBe(`sha256:${"1".repeat(64)}`);
    expect(() => choosePlatform(index, parsePlatform("linux/s390x"), "x")).toThrow(
      "x has no image for linux/s390x, only for linux/amd64, linux/arm64",
    );
  });

  test.each(["", "linux", "linux/", "linux/amd64/v8/x", "Linux/amd64", "linux/../x"])("%j is no platform", (text) => {
    expect(() => parsePlatform(text)).toThrow("is no platform");
  });

  test.each<[string, Uint8Array, string]>([
    ["garbage", Buffer.from("<html>"), "not JSON"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), "not JSON"],
    ["megabytes of brackets", Buffer.from("[".repeat(4_000_000)), "not JSON"],
    ["another schema", encode({ schemaVersion: 1, config, layers: [] }), "schemaVersion"],
    ["no layers", encode({ schemaVersion: 2, config }), "layers"],
    ["a digest that is none", encode({ schemaVersion: 2, config: { ...config, digest: "x" }, layers: [] }), "digest"],
    ["a size below zero", encode({ schemaVersion: 2, config: { ...config, size: -1 }, layers: [] }), "size"],
    [
      "a layer elsewhere",
      encode({ schemaVersion: 2, config, layers: [{ ...config, urls: ["https://elsewhere.example/"] }] }),
      "outside of its registry",
    ],
  ])("one that is %s is refused", (_what, bytes, why) => {
    expect(() => parseManifest(bytes, "x")).toThrow(why);
  });

  test("a configuration without layers is refused", () => {
    expect(() => parseConfig(encode({ os: "linux", architecture: "amd64" }), "x")).toThrow("rootfs");
  });
});
