// Runs in the page's head: the theme, the address, copying and saving, and whether the server is there.
window.quoth = (() => {
  const THEME = "quoth-theme";
  const DRAFT = "quoth-draft";
  const LOOK_EVERY = 3_000; // milliseconds
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

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`quoth:${name}`, { detail }));

  // Back and forward

  let settled = false; // until then what the page shows goes into the address without an entry of its own
  addEventListener("popstate", () => {
    const { searchParams } = new URL(location.href);
    tell("walk", { doc: searchParams.get("doc"), q: searchParams.get("q") });
  });

  // The server: when it is back after it was gone, the page is loaded anew, with what was being typed or answered

  const question = () => document.querySelector("#question textarea");
  let gone = false;
  const look = async () => {
    if (document.hidden) return;
    const answers = await fetch("/healthz", { cache: "no-store" }).then((response) => response.ok, () => false);
    if (answers && gone) {
      sessionStorage.setItem(DRAFT, question()?.value || document.querySelector(".pending .asked")?.textContent || "");
      location.reload();
    } else if (!answers && !gone) {
      gone = true;
      tell("gone");
    }
  };
  setInterval(look, LOOK_EVERY);
  addEventListener("visibilitychange", look);

  const restoreDraft = () => {
    const draft = sessionStorage.getItem(DRAFT);
    const field = question();
    if (!draft || !field) return;
    sessionStorage.removeItem(DRAFT);
    field.value = draft;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // An element from a tag, properties and children; text is never read as markup.
  const make = (tag, properties = {}, ...children) => {
    const { data = {}, attributes = {}, ...rest } = properties;
    const node = Object.assign(document.createElement(tag), rest);
    Object.assign(node.dataset, data);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.filter((child) => child != null && child !== false && child !== ""));
    return node;
  };

  // A button that is called `label`; what is seen on it may be less, or a picture.
  const button = (className, label, onclick, ...seen) => {
    const node = make("button", { className, type: "button", onclick }, ...(seen.length ? seen : [label]));
    if (node.textContent !== label) {
      node.title = label;
      node.setAttribute("aria-label", label);
    }
    return node;
  };

  return {
    chosenTheme: () => localStorage.getItem(THEME) ?? "system",

    chooseTheme(theme) {
      if (theme === "system") localStorage.removeItem(THEME);
      else localStorage.setItem(THEME, theme);
      applyTheme();
    },

    download({ name, type, text } = {}) {
      if (!text) return;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type }));
      link.download = name;
      link.click();
      URL.revokeObjectURL(link.href);
    },

    async copyText(text) {
      try {
        await navigator.clipboard.writeText(text);
        tell("news", { text: "Copied." });
      } catch {
        tell("news", { text: "The browser did not allow copying; select the text and copy it.", tone: "bad" });
      }
    },

    restoreDraft,

    openReader: () => document.body.classList.add("reader-open"),
    closeReader: () => document.body.classList.remove("reader-open"),

    make,
    button,
    quoted: (title) => `“${title}”`,

    tell,
    listen: (name, react) => document.addEventListener(`quoth:${name}`, (event) => react(event.detail)),

    // What is shown from now on came after the page was there: each step is one to go back from.
    settle() {
      settled = true;
    },

    // Keep the address in step with what is shown, so that it can be shared and reloaded.
    address(changes) {
      const url = new URL(location.href);
      for (const [name, value] of Object.entries(changes)) {
        if (value) url.searchParams.set(name, value);
        else url.searchParams.delete(name);
      }
      if (url.href === location.href) return;
      if (settled) history.pushState(history.state, "", url);
      else history.replaceState(history.state, "", url);
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
