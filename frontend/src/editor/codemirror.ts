// CodeMirror as the console uses it: YAML, the theme's own colours, markers at lines. Loaded by index.ts on demand.
import { indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup, EditorView } from "codemirror";
import { t } from "../core/i18n";
import type { Problem } from "../core/yaml";
import type { Editor } from "./index";

export interface Options {
  value: string;
  readonly: boolean;
  label: string;
  hint: string;
  change(text: string): void;
  submit(): void;
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--editor-key)" },
  { tag: [tags.string, tags.content, tags.attributeValue], color: "var(--editor-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword, tags.atom], color: "var(--editor-atom)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--text-3)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta], color: "var(--text-3)" },
  { tag: tags.typeName, color: "var(--editor-type)" },
]);

const phrases = (): Record<string, string> => ({
  "Find": t("Find"),
  "Replace": t("Replace with"),
  "next": t("next"),
  "previous": t("previous one"),
  "all": t("all"),
  "match case": t("match case"),
  "regexp": t("expression"),
  "by word": t("whole words"),
  "replace": t("replace"),
  "replace all": t("replace all"),
  "close": t("Close"),
  "Go to line": t("Go to line"),
  "go": t("go"),
  "Diagnostics": t("Problems"),
  "No diagnostics": t("No problems"),
});

export function createEditor(parent: HTMLElement, options: Options): Editor {
  let own = false;
  const submitting = Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => (options.submit(), true), preventDefault: true }]));
  const view = new EditorView({
    parent,
    doc: options.value,
    extensions: [
      submitting,
      basicSetup,
      // Escape, then Tab leaves the editor.
      keymap.of([indentWithTab]),
      yaml(),
      indentUnit.of("  "),
      EditorState.tabSize.of(2),
      EditorState.readOnly.of(options.readonly),
      EditorState.phrases.of(phrases()),
      EditorView.contentAttributes.of({
        tabindex: "0",
        "aria-label": options.label,
        "aria-description": t("Press Escape and then Tab to leave the editor. Ctrl and Enter save."),
        ...(options.readonly ? { "aria-readonly": "true" } : {}),
      }),
      ...(options.hint ? [placeholder(options.hint)] : []),
      syntaxHighlighting(colours),
      lintGutter(),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !own) options.change(update.state.doc.toString());
      }),
    ],
  });
  return {
    setValue(text) {
      if (text === view.state.doc.toString()) return;
      own = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      own = false;
    },
    setProblems(problems) {
      view.dispatch(setDiagnostics(view.state, problems.map((problem) => diagnostic(view.state, problem))));
      const first = problems[0];
      if (first) view.dispatch({ effects: EditorView.scrollIntoView(lineAt(view.state, first.line).from, { y: "center" }) });
    },
    destroy() {
      view.destroy();
    },
  };
}

function lineAt(state: EditorState, number: number): { from: number; to: number; text: string } {
  return state.doc.line(Math.min(Math.max(1, number), state.doc.lines));
}

function diagnostic(state: EditorState, problem: Problem): Diagnostic {
  const line = lineAt(state, problem.line);
  const from = line.from + (line.text.length - line.text.trimStart().length);
  return { from: Math.min(from, line.to), to: line.to, severity: "error", message: problem.message };
}
