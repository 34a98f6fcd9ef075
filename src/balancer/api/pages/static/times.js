// Times: <time datetime="…Z" data-as="ago|time|clock"> in the viewer's zone and words. Without this they are in UTC.
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

// The daemon makes the charts, and shows their times by this clock from the next page on.
export function tellZone() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const cookie = `balancer-zone=${timeZone}`;
  if (!timeZone || document.cookie.split("; ").includes(cookie)) return;
  document.cookie = `${cookie}; Path=/; Max-Age=31536000; SameSite=Strict`;
}

export function ago(seconds) {
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return AGO.format(-Math.trunc(seconds / length), unit);
  }
  return seconds < 5 ? "just now" : AGO.format(-Math.trunc(seconds), "second");
}

export function showTimes(within) {
  for (const time of within.querySelectorAll("time[data-as]")) {
    const at = new Date(time.dateTime);
    time.title = FULL.format(at);
    const words = time.dataset.as === "ago" ? ago((Date.now() - at) / 1000) : (time.dataset.as === "clock" ? CLOCK : SHORT).format(at);
    if (time.textContent !== words) time.textContent = words;
  }
}
