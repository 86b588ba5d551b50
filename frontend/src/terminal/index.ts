// <gantry-terminal data-namespace data-pod data-container>: a shell in the container. xterm.js is loaded when the tag stands on
// a page; the bytes go over the Kubernetes API's own exec WebSocket, so what kubectl may do here is what the page may do.
import type { FitAddon } from "@xterm/addon-fit";
import type { ITheme, Terminal } from "@xterm/xterm";
import { ApiProblem, call } from "../core/api";
import { h, icon } from "../core/dom";
import { t } from "../core/i18n";
import "@xterm/xterm/css/xterm.css";
import "../logs/logs.css";
import "./terminal.css";

const PROTOCOL = "v5.channel.k8s.io";
const SHELL = ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"];
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const RESIZE = 4;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

interface Status {
  status?: string;
  message?: string;
  reason?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

interface PodStatus {
  status?: { phase?: string; containerStatuses?: { name: string; state?: { running?: unknown; waiting?: { reason?: string }; terminated?: { reason?: string } } }[] };
}

type Look = "healthy" | "progress" | "done" | "failed";

class GantryTerminal extends HTMLElement {
  private terminal: Terminal | null = null;
  private fit: FitAddon | null = null;
  private socket: WebSocket | null = null;
  private ended = false;
  private ends: (() => void)[] = [];
  private status = h("span", { class: "log-status", role: "status" });
  private stage = h("div", { class: "terminal-stage" });
  private again = h("button", { class: "button small", type: "button", click: () => this.connect() }, icon("refresh-cw"), t("Reconnect"));
  private reader = h("button", { class: "button small log-toggle", type: "button", "aria-pressed": "false", click: () => this.toggleReader() }, icon("eye"), t("Screen reader"));

  connectedCallback(): void {
    void this.open();
  }

  disconnectedCallback(): void {
    for (const end of this.ends) end();
    this.ends = [];
    this.socket?.close();
    this.terminal?.dispose();
    this.terminal = null;
  }

  private async open(): Promise<void> {
    const [{ Terminal: Xterm }, { FitAddon: Fit }] = await Promise.all([import("@xterm/xterm"), import("@xterm/addon-fit")]);
    if (!this.isConnected) return;
    this.replaceChildren(
      h("div", { class: "log-bar", role: "group", "aria-label": t("Shell") }, this.status, h("span", { class: "grow" }), h("span", { class: "quiet small" }, h("kbd", {}, "Shift"), " ", h("kbd", {}, "Esc"), " ", t("leaves the terminal")), this.reader, this.again),
      this.stage,
    );
    const terminal = new Xterm({
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(this).getPropertyValue("--mono"),
      fontSize: 13,
      lineHeight: 1.2,
      scrollback: 5_000,
      minimumContrastRatio: 4.5,
      theme: this.theme(),
    });
    this.terminal = terminal;
    this.fit = new Fit();
    terminal.loadAddon(this.fit);
    terminal.open(this.stage);
    terminal.textarea?.setAttribute("aria-label", t("Shell in container {name}; Shift and Escape leave it", { name: this.dataset.container ?? "" }));
    terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    terminal.onData((data) => this.send(STDIN, new TextEncoder().encode(data)));
    terminal.onBinary((data) => this.send(STDIN, Uint8Array.from(data, (character) => character.charCodeAt(0))));
    terminal.onResize(() => this.sendSize());
    const resized = new ResizeObserver(() => this.fit?.fit());
    resized.observe(this.stage);
    const themed = new MutationObserver(() => (terminal.options.theme = this.theme()));
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.ends = [() => resized.disconnect(), () => themed.disconnect()];
    this.fit.fit();
    this.connect();
    terminal.focus();
  }

  private connect(): void {
    const terminal = this.terminal;
    if (!terminal) return;
    this.socket?.close();
    this.ended = false;
    this.say("progress", t("Connecting"));
    const query = new URLSearchParams(SHELL.map((word) => ["command", word]));
    for (const [name, value] of Object.entries({ container: this.dataset.container ?? "", stdin: "true", stdout: "true", stderr: "true", tty: "true" })) query.append(name, value);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.podPath()}/exec?${query}`, PROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let opened = false;
    let status: Status | null = null;
    socket.onopen = () => {
      opened = true;
      this.say("healthy", t("Connected"));
      this.sendSize();
      terminal.focus();
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      const bytes = typeof event.data === "string" ? new TextEncoder().encode(event.data) : new Uint8Array(event.data);
      const content = bytes.subarray(1);
      if (bytes[0] === STDOUT || bytes[0] === STDERR) terminal.write(content);
      else if (bytes[0] === STATUS) status = parseStatus(content);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (opened) this.end(sentenceOf(status), status?.status === "Success" || exitCode(status) !== null ? "done" : "failed");
      else void this.whyNot().then((sentence) => this.end(sentence, "failed"));
    };
    terminal.focus();
  }

  private podPath(): string {
    return `/api/v1/namespaces/${encodeURIComponent(this.dataset.namespace ?? "")}/pods/${encodeURIComponent(this.dataset.pod ?? "")}`;
  }

  // A browser does not tell why a WebSocket was refused; the pod itself says it.
  private async whyNot(): Promise<string> {
    try {
      const { body } = await call<PodStatus>("GET", this.podPath());
      const state = body.status?.containerStatuses?.find((entry) => entry.name === this.dataset.container)?.state;
      if (state?.terminated || body.status?.phase === "Succeeded" || body.status?.phase === "Failed") {
        return t("The container has ended ({reason}); a shell needs one that runs.", { reason: state?.terminated?.reason ?? body.status?.phase ?? "" });
      }
      if (!state?.running) return t("The container does not run yet ({reason}); a shell needs one that runs.", { reason: state?.waiting?.reason ?? body.status?.phase ?? "" });
      return t("The connection to the container was refused: its node cannot be reached, or your role does not allow a shell.");
    } catch (problem) {
      if (problem instanceof ApiProblem && problem.code === 404) return t("The pod is gone.");
      return problem instanceof ApiProblem ? problem.message : String(problem);
    }
  }

  private end(sentence: string, look: Look): void {
    if (!this.terminal) return;
    this.ended = true;
    this.say(look, look === "done" ? t("Ended") : t("Not connected"));
    // What the shell has switched on (another screen, mouse reports) is switched off before our own words.
    this.terminal.write(`\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?2004l\x1b[?25h\x1b[0m\r\n${sentence.replace(/[\x00-\x1f\x7f-\x9f]/g, " ")}\r\n${t("Press Enter to reconnect.")}\r\n`);
  }

  private send(channel: number, content: Uint8Array): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const frame = new Uint8Array(content.length + 1);
    frame[0] = channel;
    frame.set(content, 1);
    this.socket.send(frame);
  }

  private sendSize(): void {
    if (this.terminal) this.send(RESIZE, new TextEncoder().encode(JSON.stringify({ Width: this.terminal.cols, Height: this.terminal.rows })));
  }

  private onKey(event: KeyboardEvent): boolean {
    if (event.key === "Escape" && event.shiftKey) {
      if (event.type === "keydown") this.again.focus();
      return false;
    }
    if (this.ended && event.key === "Enter") {
      if (event.type === "keydown") this.connect();
      event.preventDefault();
      return false;
    }
    return true;
  }

  private toggleReader(): void {
    if (!this.terminal) return;
    const on = !this.terminal.options.screenReaderMode;
    this.terminal.options.screenReaderMode = on;
    this.reader.setAttribute("aria-pressed", String(on));
  }

  private say(look: Look, word: string): void {
    this.status.replaceChildren(h("span", { class: `state ${look}` }, h("span", {}, word)));
  }

  private theme(): ITheme {
    const style = getComputedStyle(this);
    const value = (name: string): string => style.getPropertyValue(name).trim();
    const theme: ITheme = {
      background: value("--terminal"),
      foreground: value("--terminal-text"),
      cursor: value("--terminal-text"),
      cursorAccent: value("--terminal"),
      selectionBackground: "#4a4fd088",
    };
    COLOURS.forEach((name, index) => {
      theme[name] = value(`--ansi-${index}`);
      theme[`bright${name[0]?.toUpperCase()}${name.slice(1)}` as "brightBlack"] = value(`--ansi-${index + 8}`);
    });
    return theme;
  }
}

function parseStatus(content: Uint8Array): Status {
  const text = new TextDecoder().decode(content);
  try {
    return JSON.parse(text) as Status;
  } catch {
    return { status: "Failure", message: text };
  }
}

function exitCode(status: Status | null): number | null {
  const code = status?.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  return code === undefined ? null : Number(code);
}

function sentenceOf(status: Status | null): string {
  if (!status) return t("The connection was lost.");
  if (status.status === "Success") return t("The shell ended (exit code 0).");
  const message = status.message ?? "";
  if (/exec "sh"|"sh": |sh: not found|no such file/i.test(message)) {
    return t("There is no shell in this image: neither bash nor sh. Its log still shows what it does.");
  }
  const code = exitCode(status);
  if (code === null) return message || t("The shell could not be started.");
  return t("The shell ended (exit code {code}).", { code });
}

customElements.define("gantry-terminal", GantryTerminal);
