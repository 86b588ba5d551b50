// Strings of the scripts come from the same catalogue as those of the templates: t("Delete") marks and translates.
const catalogue = new Map<string, string>();

export function t(text: string, values: Record<string, string | number> = {}): string {
  const translated = catalogue.get(text) ?? text;
  return translated.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export async function loadCatalogue(): Promise<void> {
  if (document.documentElement.lang.startsWith("en")) return;
  try {
    const answer = await fetch("/i18n.json");
    const { catalog } = (await answer.json()) as { catalog: Record<string, string> };
    for (const [text, translation] of Object.entries(catalog)) catalogue.set(text, translation);
  } catch {
    // Without the catalogue the page still works, in English.
  }
}
