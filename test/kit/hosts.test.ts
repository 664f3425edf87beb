import { expect, test } from "@jest/globals";
import { hostsOf, parseHosts, splitHost } from "../../kit/hosts.ts";

test.each([
  ["[::1]:8080", { name: "[::1]", port: "8080" }],
  ["[0:0:0:0:0:0:0:1]", { name: "[::1]", port: undefined }],
  ["[FD00::0007]", { name: "[fd00::7]", port: undefined }],
  ["[fe80::1%25eth0]:80", { name: "[fe80::1]", port: "80" }],
  ["Faas.Example.COM.:80", { name: "faas.example.com", port: "80" }],
  ["[::1", undefined],
  ["[:::1]", undefined],
  ["[1.2.3.4]", undefined],
  ["::1", undefined],
  ["a b", undefined],
  ["", undefined],
])("%j is a host as written", (text, parts) => {
  expect(splitHost(text)).toEqual(parts);
});

const allows = (bindAddress: string, allowed: string, host: string) =>
  hostsOf(bindAddress, allowed === "" ? [] : parseHosts(allowed))?.allows(splitHost(host)?.name ?? host);

test.each<[bindAddress: string, allowed: string, host: string, isAllowed: boolean | undefined]>([
  ["::1", "", "[::1]:8080", true],
  ["::1", "", "[0::1]", true],
  ["::1", "", "[::ffff:127.0.0.1]", true],
  ["::1", "", "[::ffff:7f00:1]", true],
  ["::1", "", "[fd00::7]", false],
  ["::1", "", "evil.example.com", false],
  ["127.0.0.1", "[fd00::7]", "[fd00:0::7]:8443", true],
  ["fd00::7", "faas.example.com", "[fd00::7]", true],
  ["fe80::1%eth0", "faas.example.com", "[fe80::1%25eth0]", true],
  ["::", "", "anything", undefined],
  ["unix:/run/faaslane.sock", "", "anything", undefined],
  ["unix:/run/faaslane.sock", "faas.example.com", "faas.example.com", true],
  ["unix:/run/faaslane.sock", "faas.example.com", "evil.example.com", false],
])("at %s with %j the host %s is allowed: %s", (bindAddress, allowed, host, isAllowed) => {
  expect(allows(bindAddress, allowed, host)).toBe(isAllowed);
});
