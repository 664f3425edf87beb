import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "@jest/globals";
import { openLink } from "../../../gateway/nats/connection.ts";
import { followNatsCredentials, readNatsCredentials } from "../../../gateway/process/secret-files.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../support/nats.ts";
import { temporaryFolder } from "../../support/platform.ts";

describeWithNats("credentials of NATS that change", () => {
  test.each<[what: string, authorization: (secret: string) => string, file: string]>([
    ["a password", (secret) => `user: me, password: "${secret}"`, "nats-password"],
    ["a token", (secret) => `token: "${secret}"`, "nats-token"],
  ])("%s: a connection that is lost comes back with the new one", async (_what, authorization, file) => {
    const folder = await temporaryFolder();
    const change = async (secret: string) => {
      await writeFile(join(folder.path, "auth.conf"), `authorization { ${authorization(secret)} }`);
      await writeFile(join(folder.path, file), secret);
    };
    if (file === "nats-password") await writeFile(join(folder.path, "nats-user"), "me");
    await change("first-secret");
    const server = await NatsServer.start({ config: `include "../${basename(folder.path)}/auth.conf"` });
    const servers = { servers: [server.address], log: createLogger("silent") };
    const link = await openLink(servers, followNatsCredentials(folder.path));
    expect(link.connected).toBe(true);

    await change("second-secret");
    await server.restart();
    await expect(
      openLink(servers, { ...(await readNatsCredentials(folder.path)), password: "x", token: "x" }),
    ).rejects.toThrow("it refuses the credentials");
    await eventually("it is connected again, and answered", () => link.connected && link.api("INFO"), 20_000);
    await link.close();
    await server.remove();
    await folder.remove();
  });
});
