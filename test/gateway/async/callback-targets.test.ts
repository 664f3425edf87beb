import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { plainAddress } from "../../../http/addresses.ts";
import { isPublicAddress } from "../../../kit/outbound/network-ranges.ts";
import { ANY_TARGET, type CallbackTargetRules, CallbackTargets } from "../../../kit/outbound/targets.ts";

const targets = (rules: Partial<CallbackTargetRules>) =>
  new CallbackTargets({ private: false, allow: [], deny: [], ...rules });

test.each([
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "100.64.0.1",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.168.1.1",
  "198.18.0.1",
  "203.0.113.9",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::ffff:127.0.0.1",
  "::ffff:a9fe:a9fe",
  "::ffff:0:127.0.0.1",
  "64:ff9b::10.0.0.1",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::1",
  "3fff::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "not an address",
  "",
])("%s is not public", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "169.253.255.255",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.255.255",
  "223.255.255.255",
  "2606:4700:4700::1111",
  "2a00:1450::1",
  "::ffff:8.8.8.8",
  "64:ff9b::8.8.8.8",
])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test("an IPv4 address is judged the same, however IPv6 dresses it up", () => {
  fc.assert(
    fc.property(fc.ipV4(), (v4) => {
      const [a, b, c, d] = v4.split(".").map(Number) as [number, number, number, number];
      const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      for (const dressed of [`::ffff:${v4}`, `::ffff:${hex}`, `0:0:0:0:0:FFFF:${hex}`, `64:ff9b::${v4}`]) {
        expect(plainAddress(dressed)).toBe(v4);
        expect(isPublicAddress(dressed)).toBe(isPublicAddress(v4));
      }
    }),
  );
});

test.each<[rule: string, rules: Partial<CallbackTargetRules>, host: string, address: string, expected: string]>([
  ["public ones may be called", {}, "example.com", "1.1.1.1", "allowed"],
  ["private ones may not", {}, "example.com", "10.0.0.1", "refused"],
  ["unless they may", { private: true }, "example.com", "10.0.0.1", "allowed"],
  ["or their network is allowed", { allow: ["10.0.0.0/16"] }, "example.com", "10.0.3.1", "allowed"],
  ["which others are not in", { allow: ["10.0.0.0/16"] }, "example.com", "10.1.3.1", "refused"],
  ["or the address itself", { allow: ["10.0.0.1"] }, "10.0.0.1", "10.0.0.1", "allowed"],
  ["or their name", { allow: ["hooks.internal"] }, "hooks.internal", "10.0.0.1", "allowed"],
  ["in any spelling", { allow: ["Hooks.Internal"] }, "HOOKS.internal.", "10.0.0.1", "allowed"],
  ["or names below one", { allow: ["*.svc"] }, "a.b.svc", "10.0.0.1", "allowed"],
  ["which itself is not", { allow: ["*.svc"] }, "svc", "10.0.0.1", "refused"],
  ["nor one that only ends so", { allow: ["*.svc"] }, "asvc", "10.0.0.1", "refused"],
  ["a denied name", { private: true, deny: ["bad.com"] }, "bad.com", "1.1.1.1", "refused"],
  ["a denied network", { private: true, deny: ["169.254.0.0/16"] }, "x.com", "169.254.169.254", "refused"],
  ["dressed up", { private: true, deny: ["169.254.0.0/16"] }, "x.com", "::ffff:169.254.169.254", "refused"],
  ["denied as dressed up", { private: true, deny: ["::ffff:10.0.0.1"] }, "x.com", "10.0.0.1", "refused"],
  ["a denied network of IPv6", { private: true, deny: ["fd00::/8"] }, "x.com", "fd12::1", "refused"],
  ["denied before allowed", { allow: ["x.com"], deny: ["10.0.0.0/8"] }, "x.com", "10.0.0.1", "refused"],
  ["all others denied", { private: true, deny: ["*"] }, "x.com", "1.1.1.1", "refused"],
  ["but for the allowed", { deny: ["*"], allow: ["x.com"] }, "x.com", "10.1.1.1", "allowed"],
  ["no address", { private: true }, "x.com", "", "refused"],
])("%s", (_rule, rules, host, address, expected) => {
  expect(targets(rules).judgeAddress(host, address).kind).toBe(expected);
});

test.each<[url: string, rules: Partial<CallbackTargetRules>]>([
  ["http://169.254.169.254/latest/meta-data", {}],
  ["http://user:hunter2@127.0.0.1/", {}],
  ["http://2130706433/", {}],
  ["http://0x7f.1/", {}],
  ["http://[::1]:8080/", {}],
  ["http://[::ffff:10.0.0.1]/", {}],
  ["http://localhost/", {}],
  ["http://me.localhost./", {}],
  ["https://BAD.com/", { private: true, deny: ["bad.com"] }],
  ["https://a.bad.com./", { private: true, deny: ["*.bad.com"] }],
  ["https://1.2.3.4/", { private: true, deny: ["1.2.0.0/16"] }],
])("%s is refused when it is accepted already", (url, rules) => {
  const check = () => targets(rules).checkUrl(url);
  expect(check).toThrow(/^X-Callback-Url: must not lead there/);
  expect(check).toThrow(expect.objectContaining({ kind: "invalid" }));
  expect(check).not.toThrow(/hunter2/);
});

test.each<[url: string, rules: Partial<CallbackTargetRules>]>([
  ["https://example.com/hook", {}],
  ["http://127.0.0.1:9/", { private: true }],
  ["http://localhost:9/", { allow: ["localhost"] }],
  ["http://10.0.0.1/", { allow: ["10.0.0.0/8"] }],
  // Whether it is public is known when it is looked up.
  ["http://internal.example/", {}],
])("%s is accepted", (url, rules) => {
  targets(rules).checkUrl(url);
});

test.each(["10.0.0.0/33", "10.0.0/8", "fd00::/129", "a b", "http://x.com", "", "*", "x.*", "1.2.3", "fe80::1%lo"])(
  "an entry %p is none",
  (entry) => {
    expect(() => targets({ allow: [entry] })).toThrow("is not an address, a network such as 10.0.0.0/8 or a host");
  },
);

test("without rules everything is allowed", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      expect(new CallbackTargets(ANY_TARGET).judgeAddress("x.com", address).kind).toBe("allowed");
    }),
  );
});
