// <gantry-logs data-namespace data-pod data-container [data-containers="a,b"]>: a container's log, live over /ws. Only the rows
// in view are in the page. After a lost connection it goes on from the last line it has: nothing is shown twice, and what is
// missing is said. The host's own attributes belong to the server's HTML; everything else stands inside.
import { effect } from "@preact/signals";
import { h, icon, isTyping } from "../core/dom";
import { t } from "../core/i18n";
import { connection, subscribe, type ServerMessage, type Subscription } from "../core/socket";
import { parseAnsi, type Span } from "./ansi";
import { lineOf, Ring, searchOf, Shown, type Line, type LogRecord, type Search } from "./lines";
import "./logs.css";

const TAIL = 1_000;
const MOST = 100_000;
const OVERSCAN = 12;
const SETTINGS = "gantry.logs";

type State = "connecting" | "waiting" | "following" | "ended" | "gone" | "lost" | "failed";
type Look = "healthy" | "progress" | "pending" | "failed" | "done";

interface Settings {
  times: boolean;
  wrap: boolean;
}

class GantryLogs extends HTMLElement {
  private ring = new Ring(MOST);
  private search: Search = searchOf("");
  private shown = new Shown(this.ring, () => true, 0);
  private settings: Settings = readSettings();
  private previous = false;
  private container = "";

  private subscription: Subscription | null = null;
  private params: Record<string, unknown> = {};
  private last: { a: number; n: number } | null = null;
  private earlier = 0;
  private known: { a: number; n: number } | null = null;
  private state: State = "connecting";
  private sentence = "";
  private retry = 0;
  private failures = 0;

  private following = true;
  private unseen = 0;
  private lastTop = 0;
  private frame = 0;
  private row = 19;
  private column = 8;
  private drawn = new Map<number, HTMLElement>();
  private jump = -Infinity;
  private ends: (() => void)[] = [];

  private viewport = h("div", { class: "log-view", role: "log", "aria-live": "off", tabindex: "0" });
  private sizer = h("div", { class: "log-sizer" });
  private rows = h("div", { class: "log-rows" });
  private empty = h("p", { class: "log-empty" });
  private status = h("span", { class: "log-status", role: "status" });
  private total = h("span", { class: "log-total" });
  private more = h("button", { class: "button primary small log-more", type: "button", hidden: true, click: () => this.toEnd() });
  private above = h("div", { class: "log-above", hidden: true });
  private filter = h("input", {
    class: "input",
    type: "search",
    "data-filter": true,
    "aria-label": t("Filter lines"),
    placeholder: t("Filter: text, !text, /expression/"),
    spellcheck: "false",
    input: () => this.refilter(),
  });
  private timesButton = toggle("clock", t("Times"), t("Show the time of every line (t)"), () => this.set({ times: !this.settings.times }));
  private wrapButton = toggle("list", t("Wrap"), t("Wrap long lines (w)"), () => this.set({ wrap: !this.settings.wrap }));
  private previousButton = toggle("rotate-ccw", t("Previous run"), t("The log of the container's run before this one (p)"), () => this.togglePrevious());
  private download = h("a", { class: "button small", download: "" }, icon("download"), t("Download"));

  connectedCallback(): void {
    this.container = this.dataset.container ?? "";
    this.build();
    const resized = new ResizeObserver(() => this.measure());
    resized.observe(this.viewport);
    this.ends = [
      () => resized.disconnect(),
      effect(() => {
        void connection.value;
        this.drawState();
      }),
    ];
    document.addEventListener("keydown", this.onKey);
    this.start(TAIL);
  }

  disconnectedCallback(): void {
    this.stop();
    cancelAnimationFrame(this.frame);
    document.removeEventListener("keydown", this.onKey);
    for (const end of this.ends) end();
  }

  private build(): void {
    const bar = h("div", { class: "log-bar", role: "group", "aria-label": t("Log") });
    const names = (this.dataset.containers ?? "").split(",").filter(Boolean);
    if (names.length > 1) bar.append(this.picker(names));
    bar.append(
      h("div", { class: "filter" }, icon("search"), this.filter, h("kbd", {}, "/")),
      this.total,
      this.status,
      h("span", { class: "grow" }),
      this.timesButton,
      this.wrapButton,
      this.previousButton,
      this.download,
    );
    this.sizer.append(this.rows);
    this.viewport.append(this.above, this.sizer, this.empty);
    this.viewport.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.viewport.setAttribute("aria-label", t("Log of container {name}", { name: this.container }));
    this.replaceChildren(bar, h("div", { class: "log-stage" }, this.viewport, this.more));
    this.drawSettings();
  }

  private picker(names: string[]): HTMLElement {
    const select = h("select", { class: "select", "aria-label": t("Container"), change: () => {
      this.container = select.value;
      this.viewport.setAttribute("aria-label", t("Log of container {name}", { name: this.container }));
      this.start(TAIL);
    } });
    for (const name of names) select.append(h("option", { value: name, selected: name === this.container }, name));
    return select;
  }

  // --- what the server sends ---
  private start(tail: number, atTop = false): void {
    this.stop();
    this.known = atTop ? this.last : null;
    this.ring = new Ring(MOST);
    this.last = null;
    this.earlier = 0;
    this.unseen = 0;
    this.following = !atTop;
    this.say("connecting", "");
    this.reshow();
    this.params = { namespace: this.dataset.namespace, pod: this.dataset.pod, container: this.container, previous: this.previous, tail };
    this.subscription = subscribe("logs", this.params, (message) => this.receive(message), { fromRevision: false });
    const query = new URLSearchParams({ container: this.container, ...(this.previous ? { previous: "true" } : {}), ...(this.settings.times ? { timestamps: "true" } : {}) });
    this.download.href = `/api/v1/namespaces/${encodeURIComponent(this.dataset.namespace ?? "")}/pods/${encodeURIComponent(this.dataset.pod ?? "")}/log?${query}`;
    this.download.download = `${this.dataset.pod}-${this.container}${this.previous ? "-previous" : ""}.log`;
  }

  private stop(): void {
    clearTimeout(this.retry);
    this.subscription?.close();
    this.subscription = null;
  }

  private receive(message: ServerMessage): void {
    if (message.type === "lines") this.take(message.lines as LogRecord[]);
    else if (message.type === "error") this.say("failed", String(message.message));
    else if (message.type === "log-state") {
      const uid = typeof message.uid === "string" ? message.uid : "";
      if (uid && this.params["uid"] !== uid) {
        if (this.params["uid"]) this.mark(t("A new pod of this name: its log begins here."));
        this.last = null;
        this.params["uid"] = uid;
      }
      this.say(String(message.state) as State, String(message.message ?? ""));
      if (message.state === "lost") this.askAgain();
    }
  }

  // The server could not go on: ask again from where we are, less and less often.
  private askAgain(): void {
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => this.subscription?.update(this.params), Math.min(10_000, 500 * 2 ** this.failures++));
  }

  private take(records: LogRecord[]): void {
    let added = 0;
    for (const record of records) {
      const last = this.last;
      if (last && (record.a < last.a || (record.a === last.a && record.n <= last.n))) continue;
      if (last && record.a > last.a) this.mark(t("The container started again: run {n}.", { n: record.a + 1 }));
      const missing = record.n - (last && record.a === last.a ? last.n : last ? 0 : record.n - 1) - 1;
      if (!last) this.earlier = record.n - 1;
      if (missing > 0) this.mark(t("{n} lines are missing here: they were rotated away before they could be shown.", { n: missing.toLocaleString() }));
      this.last = { a: record.a, n: record.n };
      if (this.ring.joined(record)) {
        this.redraw(this.ring.next - 1);
        this.shown.again(this.ring.next - 1);
        continue;
      }
      this.ring.push(lineOf(record));
      if (this.shown.add(this.ring.next - 1) && isAfter(record, this.known)) added++;
    }
    if (this.last) {
      // The socket sends these parameters again when the connection comes back.
      delete this.params["tail"];
      this.params["attempt"] = this.last.a;
      this.params["from_line"] = this.last.n + 1;
      this.failures = 0;
    }
    if (!this.following) this.unseen += added;
    if (this.state !== "following" && !this.previous) this.say("following", "");
    this.schedule();
  }

  private mark(text: string): void {
    this.ring.push({ time: "", stream: "", raw: text, plain: text, mark: true, open: false });
    this.shown.add(this.ring.next - 1);
  }

  private say(state: State, sentence: string): void {
    this.state = state;
    this.sentence = sentence;
    this.drawState();
    this.schedule();
  }

  // --- what the reader asks for ---
  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isTyping(event)) {
      if (event.key === "Escape" && event.target === this.filter) this.viewport.focus();
      return;
    }
    // g + letter goes to another page.
    if (event.key === "g") this.jump = event.timeStamp;
    if (event.timeStamp - this.jump < 900) return;
    if (event.key === "t") this.set({ times: !this.settings.times });
    else if (event.key === "w") this.set({ wrap: !this.settings.wrap });
    else if (event.key === "p") this.togglePrevious();
    else if (event.key === "G" || (event.key === "End" && document.activeElement === this.viewport)) this.toEnd();
    else return;
    event.preventDefault();
  };

  private set(change: Partial<Settings>): void {
    Object.assign(this.settings, change);
    try {
      localStorage.setItem(SETTINGS, JSON.stringify(this.settings));
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    this.drawSettings();
    this.reshow();
  }

  private togglePrevious(): void {
    this.previous = !this.previous;
    this.drawSettings();
    this.start(TAIL);
  }

  private refilter(): void {
    this.search = searchOf(this.filter.value);
    this.filter.setCustomValidity(this.search.problem);
    this.filter.setAttribute("aria-invalid", String(this.search.problem !== ""));
    this.filter.title = this.search.problem;
    this.reshow();
  }

  private toEnd(): void {
    this.following = true;
    this.unseen = 0;
    this.schedule();
    this.viewport.focus({ preventScroll: true });
  }

  // Scrolling up pauses; reaching the end, by whatever means, follows again.
  private onScroll(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.viewport;
    const left = scrollHeight - clientHeight - scrollTop;
    // At the very end it follows even if it moved up: then the view has grown, not the reader scrolled.
    if (left <= 2) this.following = true;
    else if (scrollTop < this.lastTop - 1) this.following = false;
    else if (left <= this.row) this.following = true;
    if (this.following) this.unseen = 0;
    this.lastTop = scrollTop;
    this.drawState();
    this.schedule();
  }

  // --- drawing ---
  private drawSettings(): void {
    this.timesButton.setAttribute("aria-pressed", String(this.settings.times));
    this.wrapButton.setAttribute("aria-pressed", String(this.settings.wrap));
    this.previousButton.setAttribute("aria-pressed", String(this.previous));
    this.rows.classList.toggle("wrap", this.settings.wrap);
    this.rows.classList.toggle("times", this.settings.times);
  }

  private measure(): void {
    const text = h("span", { class: "log-text" }, "0".repeat(100));
    const probe = h("div", { class: "log-row log-probe" }, text);
    this.rows.append(probe);
    this.row = probe.getBoundingClientRect().height || 19;
    this.column = text.getBoundingClientRect().width / 100 || 8;
    probe.remove();
    this.reshow();
  }

  private columns(): number {
    if (!this.settings.wrap) return 0;
    // The row's padding and its time column are in characters of the same font (logs.css).
    const width = this.viewport.clientWidth - 2 * 14 - (this.settings.times ? 26 * this.column : 0);
    return Math.max(10, Math.floor(width / this.column));
  }

  // Everything is laid out anew: another filter, another width.
  private reshow(): void {
    this.shown = new Shown(this.ring, (plain) => this.search.keep(plain), this.columns());
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.unseen = 0;
    this.schedule();
  }

  private redraw(at: number): void {
    this.drawn.get(at)?.remove();
    this.drawn.delete(at);
  }

  private schedule(): void {
    if (this.frame) return;
    // A tab in the background draws when it is looked at again.
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const gone = this.shown.drop();
    this.drawAbove();
    const height = this.shown.rows * this.row;
    this.sizer.style.height = `${height}px`;
    const view = this.viewport;
    if (this.following) view.scrollTop = view.scrollHeight;
    else if (gone) view.scrollTop -= gone * this.row;
    this.lastTop = view.scrollTop;
    const top = view.scrollTop - this.sizer.offsetTop;
    const from = Math.max(0, Math.floor(top / this.row) - OVERSCAN);
    const { lines, row } = this.shown.window(from, Math.ceil((top + view.clientHeight) / this.row) + OVERSCAN);
    this.rows.style.transform = `translateY(${row * this.row}px)`;
    this.place(lines);
    if (this.following) view.scrollTop = this.lastTop = view.scrollHeight;
    this.drawCounts();
  }

  private place(lines: number[]): void {
    const wanted = new Set(lines);
    for (const [at, element] of this.drawn) {
      if (wanted.has(at)) continue;
      element.remove();
      this.drawn.delete(at);
    }
    let next: ChildNode | null = this.rows.firstChild;
    for (const at of lines) {
      const known = this.drawn.get(at);
      if (known) {
        if (known === next) next = known.nextSibling;
        else this.rows.insertBefore(known, next);
        continue;
      }
      const line = this.ring.at(at);
      if (!line) continue;
      const element = this.element(line);
      this.drawn.set(at, element);
      this.rows.insertBefore(element, next);
    }
  }

  private element(line: Line): HTMLElement {
    if (line.mark) return h("div", { class: "log-row log-mark" }, h("span", {}, line.plain));
    const row = h("div", { class: line.stream === "stderr" ? "log-row stderr" : "log-row" });
    if (line.stream === "stderr") row.title = "stderr";
    if (this.settings.times) row.append(h("time", { datetime: line.time, title: line.time }, `${line.time.slice(0, 23)}Z`));
    const text = row.appendChild(h("span", { class: "log-text" }));
    for (const span of highlighted(parseAnsi(line.raw), line.plain, this.search.pattern)) {
      if (!span.look && !span.hit) text.append(span.text);
      else text.append(h(span.hit ? "mark" : "span", { class: span.look }, span.text));
    }
    return row;
  }

  private drawAbove(): void {
    const dropped = this.ring.first > 0;
    this.above.hidden = !dropped && !this.earlier;
    if (this.above.hidden) return;
    const text = dropped
      ? t("Older lines are not kept in this page; the download has them all.")
      : t("{n} earlier lines are not shown.", { n: this.earlier.toLocaleString() });
    if (this.above.dataset.text === text) return;
    this.above.dataset.text = text;
    this.above.replaceChildren(text);
    if (!dropped) this.above.append(" ", h("button", { class: "log-link", type: "button", click: () => this.start(MOST, true) }, t("Show them")));
  }

  private drawCounts(): void {
    const all = this.ring.next - this.ring.first;
    this.total.textContent = this.filter.value
      ? t("{n} of {total} lines", { n: this.shown.count.toLocaleString(), total: all.toLocaleString() })
      : t("{n} lines", { n: all.toLocaleString() });
    this.more.hidden = this.following;
    if (!this.following) {
      this.more.replaceChildren(icon("arrow-down"), this.unseen === 1 ? t("1 new line") : this.unseen ? t("{n} new lines", { n: this.unseen.toLocaleString() }) : t("Go to the end"));
    }
    this.empty.hidden = this.shown.count > 0;
    if (this.shown.count === 0) this.empty.textContent = all ? t("No line matches the filter.") : this.nothing();
  }

  private nothing(): string {
    if (this.state === "following") return t("The container runs and has written nothing so far.");
    if (this.state === "ended") return this.sentence || t("The container has ended and wrote nothing.");
    if (this.state === "connecting") return t("The log is being fetched.");
    return this.sentence;
  }

  private drawState(): void {
    const [look, word, title] = this.described();
    if (this.status.dataset.word === word && this.status.title === title) return;
    this.status.dataset.word = word;
    this.status.title = title;
    this.status.replaceChildren(h("span", { class: `state ${look}` }, h("span", {}, word)));
  }

  private described(): [Look, string, string] {
    if (connection.value === "lost") return ["pending", t("Connection lost, reconnecting"), t("It goes on from the last line when the connection is back.")];
    switch (this.state) {
      case "following":
        return this.following ? ["healthy", t("Following"), this.sentence] : ["progress", t("Paused"), t("Scroll to the end to follow again.")];
      case "waiting":
        return ["pending", t("Waiting for the container"), this.sentence];
      case "ended":
        return ["done", t("Ended"), this.sentence];
      case "gone":
        return ["done", t("The pod is gone"), this.sentence];
      case "lost":
        return ["pending", t("The node cannot be reached, trying again"), this.sentence];
      case "failed":
        return ["failed", this.sentence || t("Failed"), this.sentence];
      default:
        return ["progress", t("Connecting"), ""];
    }
  }
}

function isAfter(record: LogRecord, known: { a: number; n: number } | null): boolean {
  return !known || record.a > known.a || (record.a === known.a && record.n > known.n);
}

function toggle(name: string, text: string, title: string, click: () => void): HTMLButtonElement {
  return h("button", { class: "button small log-toggle", type: "button", "aria-pressed": "false", title, click }, icon(name), text);
}

function readSettings(): Settings {
  const settings = { times: false, wrap: true };
  try {
    return { ...settings, ...(JSON.parse(localStorage.getItem(SETTINGS) ?? "{}") as Partial<Settings>) };
  } catch {
    return settings;
  }
}

// The parts of a line that the filter found, cut out of its coloured parts.
function* highlighted(spans: Span[], plain: string, pattern: RegExp | null): Generator<Span & { hit: boolean }> {
  const edges: [number, number][] = [];
  if (pattern) for (const match of plain.matchAll(pattern)) if (match[0]) edges.push([match.index, match.index + match[0].length]);
  let place = 0;
  let next = 0;
  for (const { text, look } of spans) {
    let at = 0;
    while (at < text.length) {
      while (next < edges.length && (edges[next]?.[1] ?? 0) <= place + at) next++;
      const [begin, end] = edges[next] ?? [Infinity, Infinity];
      const hit = begin <= place + at;
      const stop = Math.min(text.length, (hit ? end : begin) - place);
      yield { text: text.slice(at, stop), look, hit };
      at = stop;
    }
    place += text.length;
  }
}

customElements.define("gantry-logs", GantryLogs);
