// The account page: a new token is shown once, in the page and nowhere else.
export function startTokens(): void {
  document.addEventListener("gantry:done", (event) => {
    const form = (event.target as Element).closest("[data-token-form]");
    const token = ((event as CustomEvent).detail as { token?: string } | null)?.token;
    const place = document.getElementById("new-token");
    const text = document.getElementById("new-token-text");
    if (!form || !token || !place || !text) return;
    text.textContent = token;
    place.querySelector<HTMLElement>("[data-copy]")?.setAttribute("data-copy", token);
    place.hidden = false;
  });
}
