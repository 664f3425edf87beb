import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { Express, Request, RequestHandler, Response } from "express";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { FaasError } from "../../contract/errors.ts";
import { SESSION_HEADER, type UiFeatures, type UiLogin, type UiSession } from "../../contract/ui/session.ts";
import { basicAuthHeader, type Credentials, checkLogin } from "../../kit/basic-auth.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import type { Assets } from "./assets.ts";
import { addDeployRoutes, type DeployRoutesDeps } from "./deploy/routes.ts";
import type { LiveStream } from "./live/live-stream.ts";
import type { KnownPast } from "./live/past.ts";
import type { PastCalls } from "./live/past-calls.ts";
import { addLiveRoutes } from "./live/routes.ts";
import { PAGE_HEADERS } from "./page-headers.ts";
import { addPlatformRoutes, type PlatformRoutesDeps } from "./platform/routes.ts";
import { type OpenSession, type SessionLimits, Sessions, sessionCookies } from "./sessions/sessions.ts";

export interface DashboardOptions {
  /** Loads the page, at its first use. @throws {FaasError} `unavailable` when it has not been built */
  readonly assets: () => Assets;
  /** Absent when nobody has to sign in. */
  readonly credentials: Credentials | undefined;
  readonly attempts: LoginAttempts;
  readonly limits: SessionLimits;
  readonly readOnly: boolean;
  readonly release: string;
  readonly defaultNamespace: string;
  readonly features: UiFeatures;
  readonly pathPrefix: PathPrefix;
  /** Whether no function answers at the origin of the page. */
  readonly ownOrigin: boolean;
  /** What it tells of what goes on. */
  readonly stream: Pick<LiveStream, "add">;
  /** What there is to deploy from. */
  readonly deploy: Omit<DeployRoutesDeps, "authorized">;
  /** And of what was. */
  readonly past: KnownPast;
  readonly calls: PastCalls;
  readonly platform: Omit<PlatformRoutesDeps, "authorized">;
}

const MAX_LOGIN_BYTES = 4 * 1024;
const YEAR_S = 365 * 24 * 3600;
const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** The dashboard's page, and who may use it. */
export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #sessions: Sessions | undefined;

  constructor(options: DashboardOptions) {
    this.#options = options;
    const { credentials, limits } = options;
    this.#sessions = credentials && new Sessions({ credentials, limits });
  }

  /**
   * Lets requests past that show a session; others are for `login` to judge.
   * @param login as for machines, with a password in each request
   */
  authorize(login: RequestHandler): RequestHandler {
    return (req, res, next) => {
      if (req.headers[SESSION_HEADER] === undefined || !this.#sessions) return login(req, res, next);
      const session = this.#sessions.read(req.headers);
      // Without a challenge: the page asks by itself, and the browser is not to.
      if (!session) return refuse(res);
      this.#renew(req, res, session);
      res.locals.holds = () => session.holds();
      if (this.#options.readOnly && !READING.has(req.method)) {
        throw new FaasError("forbidden", "the dashboard changes nothing (ui_read_only)", { code: "read_only" });
      }
      return next();
    };
  }

  addRoutes(app: Express, authorized: RequestHandler): void {
    const headers: RequestHandler = (req, res, next) => {
      res.set(PAGE_HEADERS);
      if (isSecure(req)) res.set("Strict-Transport-Security", `max-age=${YEAR_S}`);
      next();
    };
    app.use("/ui", headers);
    route(app, "/ui/api/session", {
      GET: [(req, res) => this.#tell(req, res)],
      POST: [rawBody(MAX_LOGIN_BYTES), (req, res) => this.#signIn(req, res)],
      DELETE: [(req, res) => this.#signOut(req, res)],
    });
    const { stream, past, calls, deploy, platform } = this.#options;
    addLiveRoutes(app, { stream, past, calls, authorized });
    addDeployRoutes(app, { ...deploy, authorized });
    addPlatformRoutes(app, { ...platform, authorized });
    app.get("/ui/assets/:name", (req, res, next) => this.#asset(req, res, next));
  }

  /**
   * Answers the addresses of screens; to be added after all other routes below `/ui/`. Browsers get the page, which knows nothing
   * until somebody signs in; programs are asked for a password, as OpenFaaS does.
   */
  addPages(app: Express, authorized: RequestHandler): void {
    const page: RequestHandler = (req, res) => this.#page(req, res);
    app.all("/ui/{*screen}", (req, res, next) => {
      const isScreen = READING.has(req.method) && !/^\/ui\/(api|assets)\//.test(req.path);
      const isBrowser = isScreen && (req.headers.accept ?? "").includes("text/html");
      return isBrowser
        ? page(req, res, next)
        : authorized(req, res, (error?: unknown) => (error || !isScreen ? next(error) : page(req, res, next)));
    });
  }

  #page(req: Request, res: Response): void {
    const { location, vary } = this.#options.pathPrefix.locate("/ui/", req.headers);
    if (vary !== undefined) res.vary(vary);
    res.set("Cache-Control", "no-store").type("html").send(this.#options.assets().page(location));
  }

  #asset(req: Request<{ name: string }>, res: Response, next: () => void): void {
    const asset = this.#options.assets().files.get(req.params.name);
    if (!asset) {
      next();
      return;
    }
    res.set("Cache-Control", `public, max-age=${YEAR_S}, immutable`).set("Content-Type", asset.type);
    res.vary("Accept-Encoding");
    const encoding = req.acceptsEncodings("br", "gzip");
    if (encoding === "br" || encoding === "gzip") res.set("Content-Encoding", encoding);
    res.end(encoding === "br" ? asset.brotli : encoding === "gzip" ? asset.gzip : asset.bytes);
  }

  #tell(req: Request, res: Response): unknown {
    const session = this.#sessions?.read(req.headers);
    if (session) {
      this.#renew(req, res, session);
      return this.#send(res, {
        state: "signedIn",
        user: session.user,
        endsAt: session.endsAt,
        idleEndsAt: session.idleEndsAt,
      });
    }
    if (!this.#sessions) return this.#send(res, { state: "open" });
    // Where functions have the same origin, one of theirs could ask for it too.
    const shown = this.#options.ownOrigin ? this.#sessions.tell(req.headers) : undefined;
    if (!shown) return this.#send(res, { state: "signedOut" });
    const { user, token, cookie, endsAt, idleEndsAt } = shown;
    this.#setCookies(req, res, cookie, idleEndsAt);
    return this.#send(res, { state: "signedIn", user, token, endsAt, idleEndsAt });
  }

  #signIn(req: Request, res: Response): unknown {
    const { credentials, attempts } = this.#options;
    if (!credentials || !this.#sessions) return this.#send(res, { state: "open" });
    const { user, password } = loginOf(bodyJson(req, "session"));
    const authorization = basicAuthHeader({ user, password });
    if (!checkLogin({ headers: { authorization }, socket: req.socket }, credentials, attempts)) {
      throw new FaasError("unauthorized", "user or password is wrong", { code: "unauthorized" });
    }
    const { token, cookie, endsAt, idleEndsAt } = this.#sessions.begin(user, req.headers);
    this.#setCookies(req, res, cookie, idleEndsAt);
    // Pages of functions that the browser has kept from before are not confined.
    if (!this.#options.ownOrigin) res.set("Clear-Site-Data", '"cache"');
    return this.#send(res, { state: "signedIn", user, token, endsAt, idleEndsAt });
  }

  #signOut(req: Request, res: Response): void {
    const session = this.#sessions?.read(req.headers);
    if (session) {
      this.#sessions?.end(req.headers);
      this.#setCookies(req, res, "", 0);
    }
    this.#send(res, { state: this.#sessions ? "signedOut" : "open" });
  }

  #renew(req: Request, res: Response, { renewed, idleEndsAt }: OpenSession): void {
    if (renewed !== undefined) this.#setCookies(req, res, renewed, idleEndsAt);
  }

  #setCookies(req: IncomingMessage, res: Response, value: string, until: number): void {
    res.append("Set-Cookie", sessionCookies(value, isSecure(req), until - Date.now()));
  }

  #send(res: Response, more: Pick<UiSession, "state" | "user" | "token" | "endsAt" | "idleEndsAt">): void {
    const { readOnly, release, assets, defaultNamespace, ownOrigin, features } = this.#options;
    const { build } = assets();
    // What runs here is no business of strangers.
    const known = more.state !== "signedOut" && { release };
    const settings = { readOnly, defaultNamespace, ownOrigin, features };
    const said: UiSession = { ...more, ...known, ...settings, build, now: Date.now() };
    res.set("Cache-Control", "no-store");
    sendJson(res, said);
  }
}

function loginOf(body: unknown): UiLogin {
  const { user, password } = (typeof body === "object" && body !== null ? body : {}) as Partial<UiLogin>;
  for (const [name, value] of Object.entries({ user, password })) {
    if (typeof value !== "string" || value === "") throw new FaasError("invalid", `${name}: is required`);
  }
  return { user: user as string, password: password as string };
}

function refuse(res: Response): void {
  res.setHeader(ERROR_HEADER, "session_over");
  res.status(401).type("text/plain").send("the session is over; sign in again");
}

/** Whether the browser has come by TLS, to us or to a proxy before us. */
function isSecure(req: IncomingMessage): boolean {
  return req.socket instanceof TLSSocket || req.headers["x-forwarded-proto"] === "https";
}
