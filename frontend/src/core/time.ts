// Ages tick in the page, by the server's clock; the exact time is the title.
const serverTime = document.querySelector<HTMLMetaElement>("meta[name=server-time]")?.content;
const skew = serverTime ? Date.parse(serverTime) - Date.now() : 0;

export function now(): number {
  return Date.now() + skew;
}

// kubectl's HumanDuration: 45s, 3m20s, 12m, 5h3m, 3d4h, 40d, 2y30d.
export function shortAge(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return pair(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  const hours = Math.floor(m / 60);
  if (hours < 8) return pair(hours, "h", m % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return pair(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? pair(years, "y", days % 365, "d") : `${years}y`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small ? `${large}${largeUnit}${small}${smallUnit}` : `${large}${largeUnit}`;
}

export function ageOf(moment: string): string {
  const then = Date.parse(moment);
  return Number.isNaN(then) ? "" : shortAge((now() - then) / 1000);
}

const formatter = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function exactTime(moment: string): string {
  const then = new Date(moment);
  return Number.isNaN(then.valueOf()) ? moment : `${formatter.format(then)} (${moment})`;
}

export function startAges(): void {
  const tick = (): void => {
    if (document.visibilityState !== "visible") return;
    for (const element of document.querySelectorAll<HTMLTimeElement>("time[data-age]")) {
      const text = ageOf(element.dateTime);
      if (text && element.textContent !== text) element.textContent = text;
      if (!element.title) element.title = exactTime(element.dateTime);
    }
  };
  tick();
  setInterval(tick, 1000);
}
