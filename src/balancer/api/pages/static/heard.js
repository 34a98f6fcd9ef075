// Whether a stream still says something, and why there is none: the browser tells neither.

import { keepDraft } from "./drafts.js";

// 60 s: the daemon says at least each 20 s that it is still there. A machine that has slept hears nothing of what it lost.
const SILENCE_MS = 60_000;
const LOOK_MS = 5000;
const SAID = ["open", "part", "lines", "say", "trouble", "still"];

export function noticeSilence(again) {
  let last = null;
  setInterval(() => {
    if (last === null || Date.now() - last < SILENCE_MS) return;
    last = null;
    again();
  }, LOOK_MS);
  return (source) => {
    last = source && Date.now();
    for (const each of SAID) source?.addEventListener(each, () => (last = Date.now()));
  };
}

// The session has ended: where one signs in it is said, and leads back to here. What the page shows is not left behind.
export function signInAgain() {
  keepDraft();
  location.replace(`/sign-in?${new URLSearchParams({ ended: "yes", next: location.pathname + location.search + location.hash })}`);
}

// Asks once more, for the words of the refusal. Who is not signed in any more is led to where one signs in.
export async function refusal(address) {
  const stopped = new AbortController();
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: stopped.signal });
    if (answer.status === 401) signInAgain();
    return answer.ok ? null : (await answer.json()).message;
  } catch {
    return null;
  } finally {
    stopped.abort();
  }
}
