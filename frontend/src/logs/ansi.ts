// A log line is whatever a program wrote. Colours become class names; every other control sequence is taken out or shown
// as a picture of itself, so that a line cannot move, hide or overwrite anything. Used by the log view.
export interface Span {
  text: string;
  look: string;
}

// CSI … | OSC, DCS, SOS, PM, APC with their end | any other escape. A string without its end loses only its beginning.
const SEQUENCE = /(?:\x1b\[|\x9b)[0-9:;<=>?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]?/g;
const CSI = /^(?:\x1b\[|\x9b)([0-9:;<=>?]*)[ -/]*([@-~])$/;
const ODD = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/;
const TAB = 8;

interface Pen {
  fore: number;
  back: number;
  bold: boolean;
  faint: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

function plainPen(): Pen {
  return { fore: -1, back: -1, bold: false, faint: false, italic: false, underline: false, inverse: false };
}

export function parseAnsi(raw: string): Span[] {
  if (!ODD.test(raw)) return [{ text: raw, look: "" }];
  const spans: Span[] = [];
  const pen = plainPen();
  let column = 0;
  const add = (piece: string): void => {
    if (!piece) return;
    const text = visible(piece, column);
    column += text.length;
    const look = lookOf(pen);
    const last = spans[spans.length - 1];
    if (last && last.look === look) last.text += text;
    else if (text) spans.push({ text, look });
  };
  let at = 0;
  const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    const csi = CSI.exec(match[0]);
    if (csi?.[2] === "m") draw(pen, csi[1] ?? "");
  }
  add(line.slice(at));
  return spans;
}

export function plainText(raw: string): string {
  return ODD.test(raw) ? parseAnsi(raw).map((span) => span.text).join("") : raw;
}

// Tabs become spaces, controls their pictures (␍ ␀), marks that turn the direction of writing a replacement character.
function visible(piece: string, column: number): string {
  if (!ODD.test(piece)) return piece;
  let text = "";
  for (const character of piece) {
    const code = character.codePointAt(0) ?? 0;
    if (character === "\t") text += " ".repeat(TAB - ((column + text.length) % TAB));
    else if (code < 0x20) text += String.fromCharCode(0x2400 + code);
    else if (code === 0x7f) text += "\u2421";
    else if (ODD.test(character)) text += "\ufffd";
    else text += character;
  }
  return text;
}

function draw(pen: Pen, parameters: string): void {
  const codes = parameters.split(/[;:]/).map((part) => Number(part) || 0);
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) Object.assign(pen, plainPen());
    else if (code === 1) pen.bold = true;
    else if (code === 2) pen.faint = true;
    else if (code === 3) pen.italic = true;
    else if (code === 4) pen.underline = true;
    else if (code === 7) pen.inverse = true;
    else if (code === 22) pen.bold = pen.faint = false;
    else if (code === 23) pen.italic = false;
    else if (code === 24) pen.underline = false;
    else if (code === 27) pen.inverse = false;
    else if (code >= 30 && code <= 37) pen.fore = code - 30;
    else if (code === 39) pen.fore = -1;
    else if (code >= 40 && code <= 47) pen.back = code - 40;
    else if (code === 49) pen.back = -1;
    else if (code >= 90 && code <= 97) pen.fore = code - 82;
    else if (code >= 100 && code <= 107) pen.back = code - 92;
    else if (code === 38 || code === 48) {
      const long = codes[at + 1] === 2;
      const rest = codes.slice(at + 2, at + (long ? 5 : 3));
      const colour = long ? nearest(rest[0] ?? 0, rest[1] ?? 0, rest[2] ?? 0) : indexed(rest[0] ?? 0);
      if (code === 38) pen.fore = colour;
      else pen.back = colour;
      at += long ? 4 : 2;
    }
  }
}

// All colours are drawn with the theme's sixteen, which are legible on its ground in both themes.
function indexed(index: number): number {
  if (index < 16) return index;
  if (index >= 232) return nearest((index - 232) * 10 + 8, (index - 232) * 10 + 8, (index - 232) * 10 + 8);
  const cube = index - 16;
  return nearest(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51);
}

function nearest(red: number, green: number, blue: number): number {
  const top = Math.max(red, green, blue);
  if (top < 50) return 0;
  if (top - Math.min(red, green, blue) < 40) return top < 130 ? 8 : top < 210 ? 7 : 15;
  const half = top / 2;
  const index = Number(red > half) + 2 * Number(green > half) + 4 * Number(blue > half);
  return top > 190 ? index + 8 : index;
}

function lookOf(pen: Pen): string {
  const words: string[] = [];
  const fore = pen.inverse ? pen.back : pen.fore;
  const back = pen.inverse ? pen.fore : pen.back;
  if (fore >= 0) words.push(`ansi-f${fore}`);
  if (back >= 0) words.push(`ansi-b${back}`);
  if (pen.inverse && back < 0) words.push("ansi-inverse");
  if (pen.bold) words.push("ansi-bold");
  if (pen.faint) words.push("ansi-faint");
  if (pen.italic) words.push("ansi-italic");
  if (pen.underline) words.push("ansi-underline");
  return words.join(" ");
}
