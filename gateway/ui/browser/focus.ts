/** Where the focus was: what it was called, and each element around it with its place among the children. */
interface Place {
  readonly element: HTMLElement;
  readonly words: string;
  readonly around: readonly { readonly parent: Element; readonly index: number }[];
}

const CONTENT = "content";
/** Beyond which nothing is near. */
const WHOLES = `#${CONTENT}, dialog, #page > *`;
const REACHABLE = "a[href], button, input:enabled, select:enabled, textarea:enabled, summary, [tabindex='0']";

/** Goes to the heading of the screen that has come. @param stays leaves the page scrolled as it is */
export function focusHeading(stays = false): void {
  const content = document.getElementById(CONTENT);
  const target = content?.querySelector<HTMLElement>("h1") ?? content;
  if (!target) return;
  target.tabIndex = -1;
  target.focus({ preventScroll: stays });
}

/** @returns goes back to what has the focus now, or to what is nearest to where that was */
export function rememberFocus(): () => void {
  const place = placeOf(document.activeElement);
  return () => {
    if (place) returnTo(place);
  };
}

/** When what has the focus goes, as the row of something that has been removed does, what is nearest to it gets it. */
export function keepFocus(): void {
  let last: Place | undefined;
  document.addEventListener("focusin", ({ target }) => {
    last = placeOf(target as Element);
  });
  document.addEventListener("focusout", ({ target }) => {
    // Somebody who has gone away from it himself is not brought back.
    queueMicrotask(() => {
      if (document.activeElement === document.body && (target as Element).isConnected) last = undefined;
    });
  });
  const look = () => {
    if (!last) return;
    if (last.element.isConnected) last = placeOf(last.element);
    else if (document.activeElement === document.body) returnTo(last);
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}

function placeOf(element: Element | null): Place | undefined {
  if (!(element instanceof HTMLElement) || element === document.body) return undefined;
  const around: Place["around"][number][] = [];
  for (let at: Element = element; at.parentElement && !at.matches(WHOLES); ) {
    around.push({ parent: at.parentElement, index: [...at.parentElement.children].indexOf(at) });
    at = at.parentElement;
  }
  return { element, words: element.textContent, around };
}

function returnTo({ element, words, around }: Place): void {
  if (element.isConnected) {
    element.focus();
    return;
  }
  // A heading that has been written anew is where it was.
  for (const { parent, index } of element.tagName === "H1" ? [] : around) {
    if (!parent.isConnected) continue;
    const after = [...parent.children].slice(index).flatMap(reachable);
    const near = after.length > 0 ? after : [...parent.children].slice(0, index).reverse().flatMap(reachable);
    // The same button of the next row rather than the first that it has.
    const row = near[0]?.closest("tr");
    const same = row && near.find((each) => row.contains(each) && each.textContent === words);
    const target = same ?? near[0];
    if (target) {
      target.focus();
      return;
    }
  }
  focusHeading();
}

function reachable(within: Element): HTMLElement[] {
  const all = [...(within.matches(REACHABLE) ? [within] : []), ...within.querySelectorAll(REACHABLE)] as HTMLElement[];
  return all.filter((element) => element.checkVisibility());
}
