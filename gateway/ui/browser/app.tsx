import { useEffect, useLayoutEffect } from "preact/hooks";
import { askJson } from "./api.ts";
import { Boundary } from "./components/boundary.tsx";
import { Link } from "./components/link.tsx";
import { Loading } from "./components/message.tsx";
import { setZone, zone } from "./components/time.tsx";
import { focusHeading } from "./focus.ts";
import { formatTime } from "./format.ts";
import { arrivals, match, path } from "./router.ts";
import { NOT_FOUND, PLACES, SCREENS } from "./screens/index.ts";
import type { Params, Screen } from "./screens/screen.ts";
import { SignIn, SignInAgain } from "./screens/sign-in.tsx";
import { attend } from "./state/attendance.ts";
import { follow, isAway, refusal } from "./state/live.ts";
import { isOver, session, signedOut } from "./state/session.ts";
import { endsSoon, isOutdated, refresh, watchSession } from "./state/session-watch.ts";

export function App() {
  const said = session.value;
  if (!said) return <Loading />;
  if (said.state === "signedOut" && !isOver.value) return <SignIn />;
  return <Page />;
}

function Page() {
  useEffect(() => {
    const leaving = new AbortController();
    void follow(leaving.signal);
    const stop = watchSession();
    return () => {
      stop();
      leaving.abort();
    };
  }, []);
  const { screen, params } = screenOf(path.value);
  const title = screen.title(params);
  useEffect(() => {
    document.title = `${title} – faaslane`;
  }, [title]);
  const { count, isBack } = arrivals.value;
  useLayoutEffect(() => {
    if (count > 0) focusHeading(isBack);
  }, [count]);
  const { component: Content } = screen;
  const said = session.value;
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads there; the history, which says where somebody is, gets no step */}
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          // Without a step in the history, which says where somebody is.
          event.preventDefault();
          focusHeading();
        }}
      >
        To the content
      </a>
      <header>
        <Link to="/" class="brand">
          faaslane
        </Link>
        <nav aria-label="Places">
          <ul>
            {PLACES.map(({ to, title: word }) => (
              <li key={to}>
                <Link to={to} isPlace>
                  {word}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div class="account">
          <button type="button" onClick={() => setZone(zone.value === "utc" ? "local" : "utc")}>
            {zone.value === "utc" ? "Times in UTC" : "Local times"}
          </button>
          {said?.user !== undefined && (
            <button type="button" onClick={() => void signOut()}>
              Sign out {said.user}
            </button>
          )}
        </div>
      </header>
      <Banners />
      <main id="content" tabIndex={-1}>
        <Boundary key={path.value}>
          <Content params={params} />
        </Boundary>
      </main>
      {isOver.value && <SignInAgain />}
    </>
  );
}

function screenOf(at: string): { readonly screen: Screen; readonly params: Params } {
  for (const screen of SCREENS) {
    const params = match(screen.pattern, at === "/" ? "" : at) ?? match(screen.pattern, at);
    if (params) return { screen, params };
  }
  return { screen: NOT_FOUND, params: {} };
}

function Banners() {
  const said = session.value;
  return (
    <>
      {said?.state === "open" && (
        <p class="banner" role="status">
          Nobody has to sign in here: whoever reaches this page can change everything (basic_auth).
        </p>
      )}
      {said?.readOnly && (
        <p class="banner" role="status">
          This page changes nothing (ui_read_only).
        </p>
      )}
      {isOutdated.value && (
        <p class="banner" role="status">
          The gateway has a newer page than this one. What you have entered is lost when it is loaded.{" "}
          <button type="button" onClick={() => window.location.reload()}>
            Load it
          </button>
        </p>
      )}
      {endsSoon.value && (
        <p class="banner warn" role="status">
          Your session ends at {formatTime(endsSoon.value.at, zone.value)}
          {endsSoon.value.isLast ? ", whatever you do; you can sign in again then, and lose nothing." : ". "}
          {!endsSoon.value.isLast && (
            <button
              type="button"
              onClick={() => {
                attend();
                void refresh();
              }}
            >
              Stay signed in
            </button>
          )}
        </p>
      )}
      {isAway.value && (
        <p class="banner warn" role="status">
          {refusal.value === undefined ? "The gateway does not answer" : `The gateway refuses: ${refusal.value}`}. What
          is shown may be old; it is tried again.
        </p>
      )}
    </>
  );
}

async function signOut(): Promise<void> {
  await askJson("/ui/api/session", { method: "DELETE" }).catch(() => undefined);
  signedOut();
}
