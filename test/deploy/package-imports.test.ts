import { expect, test } from "@jest/globals";
import { importLater } from "../../deploy/build-package.mjs";

const GET = "process.getBuiltinModule";

/** How esbuild prints imports, and what the client of the package has instead. */
test.each([
  ['import{a,b as c}from"node:http";a();', `const {a,b:c}=${GET}("node:http");a();`],
  ['import fs from"fs";fs.x();', `const fs=${GET}("fs");fs.x();`],
  ['import path,{join as j}from"node:path";', `const path=${GET}("node:path"),{join:j}=${GET}("node:path");`],
  // Imports come first, wherever they stand.
  ['use(a);import{a}from"node:fs/promises";', `const {a}=${GET}("node:fs/promises");use(a);`],
  // What is not Node's, or cannot be had that way, stays.
  ['import{x}from"./chunk-A.js";', 'import{x}from"./chunk-A.js";'],
  ['import process from"node:process";', 'import process from"node:process";'],
  ['import*as z from"node:zlib";', 'import*as z from"node:zlib";'],
  [
    'import { createRequire as requireOf } from "node:module";',
    'import { createRequire as requireOf } from "node:module";',
  ],
])("modules of Node's are asked for by name: %s", (printed, expected) => {
  expect(importLater("/cli/chunk.js", printed)).toBe(expected);
});
