import { expect, test } from "@jest/globals";
import { blocksOf, CURRENT, FOLDERS, filesOf, spansOf } from "./documents.ts";

const PARTS = FOLDERS.filter((folder) => !["docs", "test"].includes(folder));
/** All that is no page: sources, charts, templates, samples; of the tests, what stands in for others' servers, and benchmarks. */
const code = filesOf([...PARTS, "test"], /\.(?:m?[jt]sx?|json|ya?ml|py|go|sh|tpl|sql|txt|css|html)$|Dockerfile[^/]*$/)
  .filter(({ path }) => !path.startsWith("test/docs/"))
  .map(({ text }) => text)
  .join("\n");
/** The product alone. */
const sources = filesOf(PARTS, /\.ts$/);
const words = new Set(code.match(/\w+/g));

/** Names of PostgreSQL, MinIO, curl, pip, AppArmor, glibc, Node and Linux, and of an example. */
const OTHERS = [
  "MALLOC_ARENA_MAX",
  "ERR_DLOPEN_DISABLED",
  "CAP_NET_BIND_SERVICE",
  "pg_drop_replication_slot",
  "auth_token",
  "http_code",
  "python_version",
  "apparmor_parser",
  "test_greets",
];

const written = CURRENT.flatMap((page) => [
  ...spansOf(page).map((text) => ({ page: page.path, text })),
  ...blocksOf(page).map(({ text }) => ({ page: page.path, text })),
]);
const pages = new Set(written.flatMap(({ text }) => text.match(/[\w.-]+/g) ?? []));

/** @returns the names that `pattern` finds in code of the pages, each with its page, of those that `isKnown` does not know */
function strangers(pattern: RegExp, isKnown: (name: string) => boolean): string[] {
  const found = written.flatMap(({ page, text }) => [...text.matchAll(pattern)].map(([name]) => ({ page, name })));
  expect(found.length).toBeGreaterThan(50);
  return [...new Set(found.filter(({ name }) => !isKnown(name)).map(({ page, name }) => `${page}: ${name}`))];
}

test("every variable, metric and code that a page names is in the code", () => {
  const isKnown = (name: string) =>
    OTHERS.includes(name) ||
    [name, name.replace(/_(?:bucket|count|sum|total)$/, "")].some((form) => words.has(form) || isPutTogether(form));
  // Some are put together of a beginning or an end that many share.
  const isPutTogether = (name: string) =>
    [...name.matchAll(/_/g)].some(({ index }) => {
      const [start, end] = [name.slice(0, index), name.slice(index + 1)];
      return (words.has(`${start}_`) && words.has(end)) || (words.has(`_${end}`) && words.has(start));
    });
  expect(strangers(/(?<![\w./-])(?:[a-z]+(?:_[a-z0-9]+)+|[A-Z]+(?:_[A-Z0-9]+)+)(?![\w-])/g, isKnown)).toEqual([]);
});

const LABEL = /(?<![\w./])com\.(?:faaslane|openfaas)\.[a-z][\w.-]*[a-z](?![\w/]|\.(?!\s))/g;

test("every label and annotation that a page names is in the code", () => {
  const quoted = new Set(
    [...code.matchAll(/["'`}]([\w.-]+)["'`]|(?<![\w.-])([\w-]+):/g)].map(([, text, key]) => text ?? key),
  );
  const labels = new Set(code.match(/(?<![\w./])com\.[\w.-]+/g));
  // Some are put together of a beginning that many share, and their own end.
  const isKnown = (name: string) =>
    labels.has(name) ||
    [...name.matchAll(/\./g)].slice(2).some(({ index }) => {
      const start = name.slice(0, index);
      return (
        (quoted.has(start) || quoted.has(`${start}.`)) && [0, 1].some((from) => quoted.has(name.slice(index + from)))
      );
    });
  expect(strangers(LABEL, isKnown)).toEqual([]);
});

/** On objects of a cluster and in images, for the platform alone; types of events. */
const INTERNAL =
  /^com\.faaslane\.(?:build|component|deployed|function|hash|flow|http|redeploy|secrets|version)|^com\.openfaas\.uid/;

/** By its whole name, or by its end on a page that has the beginning. */
function isTold(name: string): boolean {
  const [start, end] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
  return pages.has(name) || CURRENT.some(({ text }) => text.includes(start) && new RegExp(`\`\\.?${end}\``).test(text));
}

test("every label and annotation of the code is on a page", () => {
  const known = [
    ...new Set(sources.flatMap(({ text }) => text.match(/(?<=")com\.(?:faaslane|openfaas)\.[\w.-]*\w(?=")/g) ?? [])),
  ];
  expect(known.length).toBeGreaterThan(30);
  expect(known.filter((name) => !INTERNAL.test(name) && !isTold(name))).toEqual([]);
});

test("every metric of the code is on a page", () => {
  const METRIC =
    /(?<=["`])(?:faaslane_(?:events|flows)|gateway|queue_worker|provider|registry|builder)_[a-z_]+(?=["`])/g;
  const named = sources.filter(({ path }) => /metrics/.test(path)).flatMap(({ text }) => text.match(METRIC) ?? []);
  expect(named.length).toBeGreaterThan(50);
  expect([...new Set(named)].filter((name) => !pages.has(name))).toEqual([]);
});
