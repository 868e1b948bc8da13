// What stands in the header beside the documents: new chat, earlier chats, export, settings.
const { make, button, quoted, chosenTheme, chooseTheme } = window.quoth;
const CHATS = "quoth-chats";
const MAX_CHATS = 30;
const WIDEST = 340; // pixels that a menu takes at most
const EDGE = 8; // pixels between it and the side of the page

// A button with a panel that closes on Escape, on a choice and on a click elsewhere, and gives the focus back.
const menu = (name, label, fill) => {
  const panel = make("div", { className: "menu", id: `${name}-menu`, popover: "auto", attributes: { role: "dialog", "aria-label": label } });
  const opener = make("button", { id: name, className: "tool", type: "button", textContent: label, title: label });
  opener.popoverTargetElement = panel;
  panel.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    panel.replaceChildren(...fill(() => panel.hidePopover()).filter(Boolean));
    const { bottom, right } = opener.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    const furthest = Math.max(clientWidth - WIDEST - EDGE, EDGE);
    panel.style.top = `${bottom + 6}px`;
    panel.style.right = `${Math.max(EDGE, Math.min(clientWidth - right, furthest))}px`;
  });
  element.append(opener, panel);
};

const item = (text, onclick, properties = {}) =>
  make("button", { className: "item", type: "button", textContent: text, onclick, ...properties });

// Earlier chats, kept in this browser: { id, at, title, answers }, the latest first

const chats = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(CHATS) ?? "[]");
    return Array.isArray(kept) ? kept.filter((chat) => chat && typeof chat.title === "string") : [];
  } catch {
    return [];
  }
};

// Without the oldest ones where the browser has no room for all.
const keep = (all) => {
  for (let count = Math.min(all.length, MAX_CHATS); count >= 0; count -= 1) {
    try {
      localStorage.setItem(CHATS, JSON.stringify(all.slice(0, count)));
      return;
    } catch {
      continue;
    }
  }
};

const archive = (answers) => {
  if (!answers?.length) return;
  const ended = { id: crypto.randomUUID?.() ?? String(Date.now()), at: Date.now(), title: answers[0].question, answers };
  keep([ended, ...chats()]);
};

const forget = (forgotten) => keep(chats().filter(({ id }) => id !== forgotten));

const when = (at) => new Date(at).toLocaleDateString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// The focus goes to the row beside it.
const drop = (chat, row) => {
  const beside = row.nextElementSibling ?? row.previousElementSibling;
  forget(chat.id);
  row.remove();
  beside?.querySelector(".remove").focus();
};

const chatRow = (chat, hide) => {
  const row = make(
    "li",
    {},
    item("", () => { hide(); trigger('select', { id: chat.id, answers: chat.answers }); }, { className: "item chat" }),
    button("remove", `Forget ${quoted(chat.title)}`, () => drop(chat, row), ""),
  );
  row.firstChild.append(
    make("span", { className: "chat-title", dir: "auto", textContent: chat.title }),
    make("span", { className: "chat-when", textContent: when(chat.at) }),
  );
  return row;
};

const chatList = (hide) => {
  const kept = chats();
  return [
    make("h2", { textContent: "Earlier chats" }),
    make("p", { className: "hint", textContent: kept.length ? "Kept in this browser only." : "None yet: a chat is kept here when you begin a new one." }),
    kept.length > 0 && make("ul", {}, ...kept.map((chat) => chatRow(chat, hide))),
  ];
};

// Settings

const choice = (group, value, label, checked, choose) =>
  make(
    "label",
    { className: "option" },
    make("input", { type: "radio", name: group, value, checked, onchange: () => choose(value) }),
    make("span", { textContent: label }),
  );

const fieldset = (legend, hint, ...options) =>
  make(
    "fieldset",
    {},
    make("legend", { textContent: legend }),
    ...options,
    hint && make("p", { className: "hint", textContent: hint }),
  );

const settings = () => [
  fieldset(
    "How sure an answer has to be",
    "The surer it has to be, the more often Quoth says that the document does not say.",
    ...props.value.strictness.map(({ value, label }) =>
      choice("strict", value, label, value === props.value.strict, (strict) => trigger('apply', { strict })),
    ),
  ),
  fieldset(
    "Theme",
    "",
    ...["system", "light", "dark"].map((theme) =>
      choice("theme", theme, theme[0].toUpperCase() + theme.slice(1), theme === chosenTheme(), chooseTheme),
    ),
  ),
];

element.append(make("button", { id: "new-chat", className: "tool", type: "button", textContent: "New chat", title: "New chat", onclick: () => trigger('clear') }));
menu("chats", "Chats", chatList);
menu("export", "Export", (hide) => [
  item("Markdown, with footnotes", () => { hide(); trigger('download', { form: "markdown" }); }),
  item("JSON, for quoth verify", () => { hide(); trigger('download', { form: "json" }); }),
]);
menu("settings", "Settings", settings);

watch('value', () => {
  archive(props.value.ended);
  if (props.value.reopened) forget(props.value.reopened);
  for (const box of element.querySelectorAll("input[name=strict]")) box.checked = Number(box.value) === props.value.strict;
});
