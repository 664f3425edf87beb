import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { configFile, findAuthorization, forgetAuth, isLoopbackUrl, saveAuth } from "../../cli/credentials.ts";
import { json, openFakeGateway } from "./support/fake-gateway.ts";
import { makeWorkspace, runHere } from "./support/run-cli.ts";

const LOCAL = "http://127.0.0.1:8080";
const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;

/** Surroundings below one folder. */
async function makeSurroundings(
  env: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
) {
  const workspace = await makeWorkspace({ "cwd/x": "", ...files });
  const at = (name: string) => join(workspace.path, name);
  const around = { env, home: at("home"), cwd: at("cwd"), sourceRoot: at("source") };
  return { around, at, [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose]() };
}

/** As faas-cli writes it. */
const THEIRS = `auths:
- gateway: https://gw.example
  auth: basic
  token: ${btoa("admin:s3cret")}
  options:
  - name: kept
    value: as it is
- gateway: http://127.0.0.1:8080
  auth: oauth2
  token: tok
other: kept # with its comment
`;

describe("where credentials are kept", () => {
  test.each<[rule: string, env: Record<string, string>, expected: string]>([
    ["in the home folder", {}, "home/.openfaas/config.yml"],
    ["in the working directory of CI", { CI: "true" }, "cwd/.openfaas/config.yml"],
    ["CI=1 is CI", { CI: "1" }, "cwd/.openfaas/config.yml"],
    ["CI=false is not", { CI: "false" }, "home/.openfaas/config.yml"],
    ["where OPENFAAS_CONFIG says", { OPENFAAS_CONFIG: "conf", CI: "true" }, "cwd/conf/config.yml"],
    ["which may begin at home", { OPENFAAS_CONFIG: "~/conf" }, "home/conf/config.yml"],
  ])("%s", async (_rule, env, expected) => {
    await using scene = await makeSurroundings(env);
    expect(configFile(scene.around)).toBe(scene.at(expected));
  });

  test("the file is its owner's alone, and whole at any time", async () => {
    await using scene = await makeSurroundings();
    const token = btoa("admin:a");
    await saveAuth({ gateway: LOCAL, auth: "basic", token }, scene.around);
    const file = configFile(scene.around);
    const mode = async (path: string) => (await stat(path)).mode & 0o777;
    expect([await mode(file), await mode(dirname(file))]).toEqual([0o600, 0o700]);
    expect(await readFile(file, "utf8")).toBe(`auths:\n  - gateway: ${LOCAL}\n    auth: basic\n    token: ${token}\n`);

    await chmod(file, 0o644);
    await saveAuth({ gateway: LOCAL, auth: "basic", token: btoa("admin:b") }, scene.around);
    expect(await mode(file)).toBe(0o600);
    expect(await readdir(dirname(file))).toEqual(["config.yml"]);
    expect(await findAuthorization(LOCAL, undefined, scene.around)).toBe(basic("admin", "b"));
  });

  test("what another client wrote is understood, and stays", async () => {
    await using scene = await makeSurroundings({}, { "home/.openfaas/config.yml": THEIRS });
    expect(await findAuthorization("https://gw.example", undefined, scene.around)).toBe(basic("admin", "s3cret"));
    expect(await findAuthorization(LOCAL, undefined, scene.around)).toBe("Bearer tok");
    await saveAuth({ gateway: "http://new", auth: "basic", token: "bmV3" }, scene.around);
    await saveAuth({ gateway: "https://gw.example", auth: "basic", token: "b3RoZXI=" }, scene.around);
    expect(await forgetAuth(LOCAL, scene.around)).toBe(true);
    expect(await forgetAuth(LOCAL, scene.around)).toBe(false);
    const text = await readFile(configFile(scene.around), "utf8");
    expect(text).toContain("value: as it is");
    expect(text).toContain("other: kept # with its comment");
    expect(text).not.toContain("tok\n");
    expect(await findAuthorization("https://gw.example", undefined, scene.around)).toBe("Basic b3RoZXI=");
    expect(await findAuthorization("http://new", undefined, scene.around)).toBe("Basic bmV3");
  });

  test("a link to the file stays a link", async () => {
    await using scene = await makeSurroundings({}, { "dotfiles/faas.yml": THEIRS, "home/.openfaas/other": "" });
    const file = configFile(scene.around);
    await symlink(scene.at("dotfiles/faas.yml"), file);
    await saveAuth({ gateway: "http://new", auth: "basic", token: "bmV3" }, scene.around);
    expect(await readFile(scene.at("dotfiles/faas.yml"), "utf8")).toContain("http://new");
    expect((await lstat(file)).isSymbolicLink()).toBe(true);
  });

  test.each(["auths: [", "- a", "auths: [x]"])("a broken file is named but not quoted: %s", async (text) => {
    await using scene = await makeSurroundings({}, { "home/.openfaas/config.yml": `# hunter2\n${text}` });
    const attempt = findAuthorization(LOCAL, undefined, scene.around);
    await expect(attempt).rejects.toThrow(`${scene.at("home/.openfaas/config.yml")} is not a configuration file`);
    await expect(attempt).rejects.not.toThrow("hunter2");
  });
});

describe("which credentials are sent", () => {
  const platform = (folder: string, password: string, url = LOCAL, pid = process.pid) => ({
    [`${folder}/basic-auth-user`]: "admin\n",
    [`${folder}/basic-auth-password`]: `${password}\n`,
    [`${folder}/platform.json`]: JSON.stringify({ url, pid }),
  });

  test("none when nothing is known", async () => {
    await using scene = await makeSurroundings();
    expect(await findAuthorization(LOCAL, undefined, scene.around)).toBeUndefined();
    expect(await findAuthorization(LOCAL, "", scene.around)).toBeUndefined();
    expect(await findAuthorization(LOCAL, "t", scene.around)).toBe("Bearer t");
  });

  test("stored basic credentials win over a token, a token over a stored one", async () => {
    await using scene = await makeSurroundings({}, { "home/.openfaas/config.yml": THEIRS });
    expect(await findAuthorization("https://gw.example", "t", scene.around)).toBe(basic("admin", "s3cret"));
    expect(await findAuthorization(LOCAL, "t", scene.around)).toBe("Bearer t");
  });

  test("a platform on this machine lends its own password", async () => {
    const files = {
      ...platform("cwd/.faaslane", "here"),
      ...platform("source/.faaslane", "there", "http://127.0.0.1:9"),
    };
    await using scene = await makeSurroundings({}, files);
    expect(await findAuthorization(LOCAL, undefined, scene.around)).toBe(basic("admin", "here"));
    expect(await findAuthorization("http://localhost:8080", undefined, scene.around)).toBe(basic("admin", "here"));
    expect(await findAuthorization("http://127.0.0.1:9", undefined, scene.around)).toBe(basic("admin", "there"));
    expect(await findAuthorization("http://gw.example", undefined, scene.around)).toBeUndefined();
    expect(await findAuthorization(LOCAL, "t", scene.around)).toBe("Bearer t");
  });

  test("data_dir says where the platform keeps it, and then nowhere else counts", async () => {
    const files = { ...platform("cwd/.faaslane", "here"), ...platform("data", "data") };
    await using scene = await makeSurroundings({ data_dir: "../data" }, files);
    expect(await findAuthorization(LOCAL, undefined, scene.around)).toBe(basic("admin", "data"));
    const wrong = { ...scene.around, env: { data_dir: "../none" } };
    expect(await findAuthorization(LOCAL, undefined, wrong)).toBeUndefined();
  });

  test.each<[url: string, expected: boolean]>([
    ["http://127.0.0.1:8080", true],
    ["http://127.9.9.9", true],
    ["http://localhost", true],
    ["http://[::1]:1", true],
    ["http://127.0.0.1.example", false],
    ["http://localhost.example", false],
    ["http://10.0.0.1", false],
    ["nonsense", false],
  ])("%s on this machine: %s", (url, expected) => {
    expect(isLoopbackUrl(url)).toBe(expected);
  });
});

describe("login", () => {
  const PASSWORD = "correct horse";
  const gatewayThatKnows = (password: string) =>
    openFakeGateway(({ headers }) =>
      headers.authorization === basic("admin", password) ? json([]) : { status: 401, body: "invalid credentials" },
    );

  test("asks the gateway, keeps what is right, and never prints it", async () => {
    await using gateway = await gatewayThatKnows(PASSWORD);
    await using workspace = await makeWorkspace();
    const options = { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url } };
    const login = await runHere(["login", "--password-stdin"], { ...options, input: `${PASSWORD}\n` });
    expect(login).toEqual({
      code: 0,
      stdout: `Calling the gateway to validate the credentials...\ncredentials saved for admin ${gateway.url}\n`,
      stderr: "",
    });
    expect(await runHere(["list", "-q"], options)).toMatchObject({ code: 0 });
    expect(gateway.seen.map(({ path }) => path)).toEqual(["/system/functions", "/system/functions"]);

    expect(await runHere(["logout"], options)).toMatchObject({ code: 0 });
    expect((await runHere(["list"], options)).stderr).toBe(
      "Error: unauthorized access, run faaslane login to set up the credentials of this gateway\n",
    );
    expect(await runHere(["logout"], options)).toMatchObject({
      code: 1,
      stderr: `Error: there are no credentials for ${gateway.url}\n`,
    });
  });

  test("a wrong password is not kept", async () => {
    await using gateway = await gatewayThatKnows(PASSWORD);
    await using workspace = await makeWorkspace();
    const options = { cwd: workspace.path, env: { FAAS_DEBUG: "1" } };
    const { code, stdout, stderr } = await runHere(["login", "-p", "hunter2", "-g", gateway.url], options);
    expect(code).toBe(1);
    expect(stderr).toContain("Error: unable to login, either username or password is incorrect\n");
    expect(stdout + stderr).not.toMatch(/hunter2|YWRtaW46/);
    await expect(stat(join(workspace.path, "home"))).rejects.toThrow("ENOENT");
  });

  test.each<[rule: string, args: string[], input: string, message: string]>([
    ["no password", [], "", "must provide a non-empty password"],
    ["an empty one", ["-s"], "\n", "must provide a non-empty password"],
    ["two", ["-s", "-p", "x"], "y", "cannot be used together"],
    ["no user", ["-u", "", "-p", "x"], "", "--username must not be empty"],
  ])("refuses %s", async (_rule, args, input, message) => {
    await using workspace = await makeWorkspace();
    const { code, stderr } = await runHere(["login", ...args], { cwd: workspace.path, input });
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  test("a gateway elsewhere without encryption is warned of", async () => {
    await using workspace = await makeWorkspace();
    const args = ["list", "-g", "http://gateway.invalid"];
    const { stderr } = await runHere(args, { cwd: workspace.path });
    expect(stderr).toContain("Warning: the connection to http://gateway.invalid is not encrypted");
    expect(stderr).toContain("Error: cannot reach the gateway at http://gateway.invalid: the host name");
  });

  test("a password file that cannot be read is an error, not silence", async () => {
    await using workspace = await makeWorkspace();
    await mkdir(join(workspace.path, ".faaslane/basic-auth-user"), { recursive: true });
    await writeFile(join(workspace.path, ".faaslane/basic-auth-password"), "x");
    const running = JSON.stringify({ url: LOCAL, pid: process.pid });
    await writeFile(join(workspace.path, ".faaslane/platform.json"), running);
    const { code, stderr } = await runHere(["list"], { cwd: workspace.path });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: cannot read .*basic-auth-user: EISDIR/);
  });
});
