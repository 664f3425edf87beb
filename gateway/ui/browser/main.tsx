import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/page.css";
import type { UiSession } from "../../../contract/ui/session.ts";
import { askJson } from "./api.ts";
import { App } from "./app.tsx";
import { Failure } from "./components/message.tsx";
import { keepFocus } from "./focus.ts";
import { showHiddenEverywhere } from "./safe-text.ts";
import { forgetCalls } from "./screens/function/invoke/history.ts";
import { forgetLive } from "./state/live.ts";
import { forgetWhenSignedOut, heard } from "./state/session.ts";

const root = document.getElementById("page") as HTMLElement;

async function begin(): Promise<void> {
  try {
    heard(await askJson<UiSession>("/ui/api/session"));
    render(<App />, root);
  } catch (error) {
    render(<Failure error={error} />, root);
    setTimeout(() => void begin(), 2_000);
  }
}

showHiddenEverywhere();
keepFocus();
forgetWhenSignedOut(() => {
  forgetCalls(sessionStorage);
  forgetLive();
});
void begin();
