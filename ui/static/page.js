// Runs in the page's head: the theme, the file download and the sheet that holds the reader on a phone.
window.quoth = (() => {
  const THEME = "quoth-theme";
  const systemDark = matchMedia("(prefers-color-scheme: dark)");

  const wantsDark = () => {
    const chosen = localStorage.getItem(THEME);
    return chosen ? chosen === "dark" : systemDark.matches;
  };
  const applyTheme = () => document.body.classList.toggle("dark", wantsDark());

  // Gradio sets the class by the system's preference after this script ran: what was chosen wins.
  new MutationObserver(() => {
    if (document.body.classList.contains("dark") !== wantsDark()) applyTheme();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  systemDark.addEventListener("change", applyTheme);
  applyTheme();

  return {
    toggleTheme() {
      localStorage.setItem(THEME, wantsDark() ? "light" : "dark");
      applyTheme();
    },

    download(text) {
      if (!text) return;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
      link.download = "quoth-conversation.md";
      link.click();
      URL.revokeObjectURL(link.href);
    },

    openReader: () => document.body.classList.add("reader-open"),
    closeReader: () => document.body.classList.remove("reader-open"),

    // An element from a tag, properties and children; text is never read as markup.
    make(tag, properties = {}, ...children) {
      const { data = {}, attributes = {}, ...rest } = properties;
      const node = Object.assign(document.createElement(tag), rest);
      Object.assign(node.dataset, data);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      node.append(...children.filter((child) => child != null && child !== false && child !== ""));
      return node;
    },

    tell: (name, detail) => document.dispatchEvent(new CustomEvent(`quoth:${name}`, { detail })),
    listen: (name, react) => document.addEventListener(`quoth:${name}`, (event) => react(event.detail)),

    // Keep the address in step with what is shown, so that it can be shared and reloaded.
    address(changes) {
      const url = new URL(location.href);
      for (const [name, value] of Object.entries(changes)) {
        if (value) url.searchParams.set(name, value);
        else url.searchParams.delete(name);
      }
      history.replaceState(history.state, "", url);
    },

    scrollBehavior: () =>
      matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth",

    // Asks one of the page's routes; throws the line that says why it was refused.
    async request(method, path, body, signal) {
      const isFile = body instanceof Blob;
      const response = await fetch(`page/${path}`, {
        method,
        signal,
        body: isFile ? body : JSON.stringify(body),
        headers: { "Content-Type": isFile ? "application/octet-stream" : "application/json" },
      }).catch((error) => {
        throw signal?.aborted ? error : new Error("Quoth does not answer. Is it still running?");
      });
      if (!response.ok) {
        const { detail = response.statusText } = await response.json().catch(() => ({}));
        throw new Error(detail.charAt(0).toUpperCase() + detail.slice(1));
      }
      return response.headers.get("Content-Type") === "application/json" ? response.json() : response;
    },
  };
})();
