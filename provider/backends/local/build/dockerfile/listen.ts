/**
 * What makes a program listen at the port that its watchdog chose (`http_port`), on this machine alone, when it wants the
 * one that it was written for (`faaslane_written_for_port`).
 */
export const LISTEN_FILES: Readonly<Record<string, string>> = {
  "sitecustomize.py": `import os
import socket

_written_for = os.environ.get("faaslane_written_for_port")
_port = os.environ.get("http_port")
_bind = socket.socket.bind


def bind(self, address):
    if isinstance(address, tuple) and str(address[1]) == _written_for:
        address = ("::1" if self.family == socket.AF_INET6 else "127.0.0.1", int(_port)) + tuple(address[2:])
    return _bind(self, address)


if _written_for and _port:
    socket.socket.bind = bind
`,
  "listen.cjs": `"use strict";
const net = require("node:net");
const { faaslane_written_for_port: writtenFor, http_port: port } = process.env;
const { listen } = net.Server.prototype;
if (writtenFor && port) {
  net.Server.prototype.listen = function (...args) {
    const [first] = args;
    if (typeof first === "object" && first !== null && String(first.port) === writtenFor) {
      args[0] = { ...first, port: Number(port), host: "127.0.0.1" };
    } else if (String(first) === writtenFor) {
      args[0] = Number(port);
      if (typeof args[1] === "string") args[1] = "127.0.0.1";
      else args.splice(1, 0, "127.0.0.1");
    }
    return listen.apply(this, args);
  };
}
`,
};
