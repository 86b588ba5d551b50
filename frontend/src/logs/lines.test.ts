import { describe, expect, it } from "vitest";
import { parseAnsi, plainText } from "./ansi";
import { lineOf, Ring, searchOf, Shown, type LogRecord } from "./lines";

const record = (n: number, x: string, p = false, s = "stdout"): LogRecord => ({ n, x, p, s, t: "", a: 0 });

describe("what a program wrote", () => {
  it("shows colours as classes", () => {
    expect(parseAnsi("\x1b[1;31mred\x1b[0m plain")).toEqual([{ text: "red", look: "ansi-f1 ansi-bold" }, { text: " plain", look: "" }]);
    expect(parseAnsi("\x1b[38;5;196mx\x1b[48;2;0;0;255my")[1]?.look).toBe("ansi-f9 ansi-b12");
  });
  it("cannot move the cursor, set a title or hide text", () => {
    expect(plainText("a\x1b[2J\x1b[1;1Hb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d\x1b]8;;\x1b\\")).toBe("abcd");
    expect(plainText("secret\rshown")).toBe("secret\u240dshown");
    expect(plainText("\x1b]no end, but readable")).toBe("no end, but readable");
    expect(plainText("a\u202eb\x9b31mc\x08\x00")).toBe("a\ufffdbc\u2408\u2400");
  });
  it("keeps tab stops and drops the end of DOS lines", () => {
    expect(plainText("ab\tc\r")).toBe("ab      c");
  });
});

describe("the buffer", () => {
  it("holds the newest lines and says which rows went", () => {
    const ring = new Ring(10);
    const shown = new Shown(ring, () => true, 0);
    for (let n = 1; n <= 25; n++) {
      ring.push(lineOf(record(n, `line ${n}`)));
      shown.add(ring.next - 1);
    }
    expect(shown.drop()).toBe(15);
    expect(shown.rows).toBe(10);
    expect(shown.window(0, 2).lines.map((at) => ring.at(at)?.plain)).toEqual(["line 16", "line 17"]);
  });
  it("joins the parts of a long line", () => {
    const ring = new Ring();
    ring.push(lineOf(record(1, "a", true)));
    expect(ring.joined(record(2, "b", true, "stderr"))).toBe(false);
    expect(ring.joined(record(2, "b"))).toBe(true);
    expect(ring.joined(record(3, "c"))).toBe(false);
    expect(ring.at(0)?.plain).toBe("ab");
  });
  it("counts the rows of wrapped lines", () => {
    const ring = new Ring();
    for (const text of ["x".repeat(25), "", "short"]) ring.push(lineOf(record(1, text)));
    const shown = new Shown(ring, () => true, 10);
    expect(shown.rows).toBe(5);
    expect(shown.window(2, 4)).toEqual({ lines: [0, 1], row: 0 });
    expect(shown.window(4, 9)).toEqual({ lines: [2], row: 4 });
  });
});

describe("the filter", () => {
  it("takes text, its inverse and expressions", () => {
    expect(searchOf("GET").keep("a get b")).toBe(true);
    expect(searchOf("!get").keep("a get b")).toBe(false);
    expect(searchOf("/5\\d\\d$/").keep("status 503")).toBe(true);
    expect(searchOf("a.b").keep("axb")).toBe(false);
    expect(searchOf("/(/").problem).not.toBe("");
  });
});
