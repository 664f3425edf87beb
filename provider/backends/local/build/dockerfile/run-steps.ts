import { splitWords } from "./parse.ts";

/** A command of a `RUN`, as it is done without a container: a command line, or nothing. */
export type Step =
  | { readonly kind: "run"; readonly words: readonly string[]; readonly requires: readonly string[] }
  | { readonly kind: "folder"; readonly paths: readonly string[] }
  | { readonly kind: "file"; readonly paths: readonly string[] }
  /** It is about the image or its users, and means nothing to a folder. */
  | { readonly kind: "nothing" }
  /** Packages of the system, which the machine has or has not. */
  | { readonly kind: "system"; readonly packages: string };

/** Where Python's packages go, from the root of the artefact. */
export const PYTHON_PACKAGES = ".faaslane/packages";

/** The interpreter itself, in the script: where python3 is a stand-in of pyenv, that one writes to its own folder after installs. */
export const PYTHON = "$PYTHON";

const NOTHING = new Set(
  "chmod chown addgroup adduser groupadd useradd usermod echo true : set cd_ export ldconfig update-ca-certificates rm find [ test eval tox".split(
    " ",
  ),
);
const SYSTEM = new Set(["apk", "apt-get", "apt", "yum", "dnf", "microdnf"]);

/**
 * The steps of a `RUN`, or the command that is none of those that are known.
 * @param text with its variables in place
 */
export function decideSteps(text: string): readonly Step[] | { readonly unknown: string } {
  const steps: Step[] = [];
  for (const part of text.split(/&&|\|\||;|\n/)) {
    const command = part.trim();
    if (command === "" || command === "true" || command === ":") continue;
    const step = decideStep(command.replace(/(?:2?>|&>)[ \t]{0,8}\/dev\/null|2>&1/g, "").trim());
    if (step === undefined) return { unknown: command };
    steps.push(step);
  }
  return steps;
}

function decideStep(command: string): Step | undefined {
  const first = /^\S+/.exec(command)?.[0] ?? "";
  if (NOTHING.has(first)) return { kind: "nothing" };
  const all = splitWords(command);
  if (all === undefined) return undefined;
  // Variables in front of a command, such as CGO_ENABLED=0.
  const at = all.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  if (at === -1) return { kind: "nothing" };
  const [program = "", ...args] = all.slice(at);
  const variables = at === 0 ? [] : ["env", ...all.slice(0, at)];
  const plain = args.filter((arg) => !arg.startsWith("-"));
  if (SYSTEM.has(program)) return { kind: "system", packages: plain.slice(1).join(" ") };
  if (program === "mkdir") return { kind: "folder", paths: plain };
  if (program === "touch") return { kind: "file", paths: plain };
  const run = (words: readonly string[], ...requires: string[]): Step => ({
    kind: "run",
    words: [...variables, ...words],
    requires,
  });
  const isPython = /^python[\d.]*$/.test(program) && args[0] === "-m" && /^pip[\d.]*$/.test(args[1] ?? "");
  if (/^pip[\d.]*$/.test(program)) return pip(args, run);
  if (isPython) return pip(args.slice(2), run);
  if (program === "npm") return npm(args, plain, run);
  if (program === "go" && ["build", "mod", "install", "get"].includes(args[0] ?? ""))
    return run([program, ...args], "go");
  if (program === "go") return { kind: "nothing" };
  if (program === "bundle" || program === "gem" || program === "composer" || program === "yarn" || program === "pnpm") {
    return run([program, ...args], program);
  }
  return undefined;
}

type Run = (words: readonly string[], ...requires: string[]) => Step;

/** Into a folder of the function's own, whatever the image would have had. */
function pip(args: readonly string[], run: Run): Step {
  if (args[0] !== "install") return { kind: "nothing" };
  const kept = args.slice(1).filter((arg) => !["--user", "--no-cache-dir", "--break-system-packages"].includes(arg));
  const named = kept.filter((arg) => !arg.startsWith("-"));
  // What installs packages is the machine's.
  if (!kept.includes("-r") && !kept.some((arg) => arg.startsWith("--requirement"))) {
    if (named.every((name) => /^(pip|setuptools|wheel|virtualenv|tox|flake8|pytest)\b/.test(name)))
      return { kind: "nothing" };
  }
  const words = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--upgrade"];
  return run([...words, "--target", `$ROOT/${PYTHON_PACKAGES}`, ...kept], "python3");
}

function npm(args: readonly string[], plain: readonly string[], run: Run): Step {
  const [verb = ""] = plain;
  if (
    !["i", "install", "ci", "run", "run-script", "prune", "rebuild"].includes(verb) ||
    args.includes("-g") ||
    args.includes("--global")
  ) {
    return { kind: "nothing" };
  }
  return run(["npm", ...args], "npm");
}
