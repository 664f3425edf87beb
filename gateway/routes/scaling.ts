import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { route, sendJson } from "../../kit/respond.ts";
import { parseTarget } from "../core/function-path.ts";
import type { Autoscaler, Scalable } from "../scaling/autoscaler.ts";
import { buildScalingReport } from "./scaling-report.ts";
import { buildWhatIf, readWhatIf } from "./scaling-what-if.ts";

export interface ScalingRoutesDeps {
  readonly autoscaler: Autoscaler;
  /** @param target `name.namespace` */
  find(target: string): Scalable | undefined;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

/**
 * `GET /system/scaling/<function>`, why it has the replicas it has; `…/history`, what that was decided from; `…/what-if`, what would
 * have been decided with other settings.
 */
export function addScalingRoutes(app: Express, deps: ScalingRoutesDeps): void {
  const { autoscaler, authorized, defaultNamespace, find } = deps;
  const target = (req: Request) => {
    const given = req.query.namespace;
    const { name, namespace } = parseTarget(String(req.params.name), defaultNamespace);
    const entry = find(`${name}.${typeof given === "string" && given !== "" ? given : namespace}`);
    const watched = entry && autoscaler.watched(entry.qualifiedName);
    if (!watched) throw new FaasError("notFound", `function ${name} is not scaled here`);
    return { entry, watched };
  };
  const explain: RequestHandler = (req, res) => {
    const { entry, watched } = target(req);
    sendJson(res, buildScalingReport(entry, watched, autoscaler));
  };
  const history: RequestHandler = (req, res) => {
    const { watched } = target(req);
    const since = req.query.since === undefined ? 0 : Date.parse(String(req.query.since));
    if (Number.isNaN(since)) throw new FaasError("invalid", "since: must be a time such as 2026-01-31T12:00:00Z");
    const ahead = autoscaler.wallOf(0);
    const samples = watched.history.read(since - ahead);
    const lines = [...samples].map((sample) => `${JSON.stringify({ ...sample, t: sample.t + ahead })}\n`);
    res.type("application/x-ndjson").send(lines.join(""));
  };
  const whatIf: RequestHandler = (req, res) => {
    const { entry, watched } = target(req);
    const ahead = autoscaler.wallOf(0);
    const asked = readWhatIf(req.query, autoscaler.wallOf(autoscaler.now));
    const samples = [...watched.history.read(asked.since - ahead)].map((sample) => ({
      ...sample,
      t: sample.t + ahead,
    }));
    sendJson(
      res.set("Cache-Control", "no-store"),
      buildWhatIf(samples, watched.policyWith(entry.snapshot, asked.labels), asked),
    );
  };
  route(app, `${PATHS.scaling}:name`, { GET: [authorized, explain] });
  route(app, `${PATHS.scaling}:name/history`, { GET: [authorized, history] });
  route(app, `${PATHS.scaling}:name/what-if`, { GET: [authorized, whatIf] });
}
