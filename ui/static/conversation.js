// The conversation: questions with their answers. Everything on screen is set as text, never as markup.
const { make, tell, listen, address, scrollBehavior } = window.quoth;
const MAX_ADDRESS_CHARS = 500;
const SPACE_ABOVE = 20; // pixels between the header and the question that is scrolled to

const log = make("div", { className: "log", attributes: { role: "log", "aria-live": "off", "aria-label": "Conversation" } });
const announcer = make("div", { className: "visually-hidden", attributes: { role: "status", "aria-live": "polite" } });
element.append(log, announcer);

let open = null; // what the reader shows: { id, title, examples }
let painted = []; // { key, node } of the turns on screen
let greeting = null;
let waiting = null;
let begun = false; // whether the page has what it starts with: turns that come later are answers
let citing = null; // the turn whose citations the reader shows

const ask = (question) => trigger('submit', { question });
const askAsTyped = (question) => trigger('submit', { question, alone: "yes" });

// Citations

const citesOf = (quotes) => quotes.map(({ n, document, sentences }) => ({ n, document, sentences }));

const show = (quotes, n) => (event) => {
  citing = event.currentTarget.closest(".turn");
  tell("cite", { cites: citesOf(quotes), n, origin: event.currentTarget, keyboard: event.detail === 0 });
};

const marker = (quotes, quote) =>
  make("button", {
    className: "marker",
    type: "button",
    textContent: quote.n,
    onclick: show(quotes, quote.n),
    data: { n: quote.n },
    attributes: { "aria-label": `Source ${quote.n}: ${quote.section}` },
  });

// The parts of an answer

const words = (quote) => {
  const focus = quote.focus && make("mark", { className: "focus", textContent: quote.focus });
  return make("span", { className: "words" }, quote.before, focus, quote.after);
};

const context = (quote) =>
  quote.context &&
  make("span", { className: `context ${quote.context.kind}`, textContent: `${quote.context.text} ` });

const quotation = (quotes) => (quote) =>
  make("p", { className: "quote" }, context(quote), words(quote), "\u00a0", marker(quotes, quote));

const path = (quote) =>
  make(
    "span",
    { className: "path" },
    make("span", { className: "document", textContent: quote.title, data: { document: quote.document } }),
    quote.section,
  );

const source = (quotes) => (quote) =>
  make(
    "li",
    {},
    make(
      "button",
      { className: "source", type: "button", onclick: show(quotes, quote.n), data: { n: quote.n } },
      make("span", { className: "number", textContent: quote.n }),
      path(quote),
      make("span", { className: "in-place", textContent: "Show in place" }),
    ),
  );

const sources = (quotes) =>
  make("ol", { className: "sources", attributes: { "aria-label": "Sources" } }, ...quotes.map(source(quotes)));

const confidence = (turn) => {
  const percent = Math.round(100 * turn.confidence);
  const meter = make("span", { className: "meter", attributes: { "aria-hidden": "true" } });
  meter.style.setProperty("--share", `${percent}%`);
  return make(
    "p",
    {
      className: "confidence",
      title: "Estimated chance that the first passage answers the question",
    },
    meter,
    `${turn.confidence_words} · ${percent} %`,
  );
};

const lead = (quotes) => (quote) =>
  make(
    "li",
    { className: "lead" },
    make("p", { className: "quote" }, context(quote), words(quote), "\u00a0", marker(quotes, quote)),
    make("p", {}, path(quote)),
  );

const leads = (turn, title) =>
  turn.leads.length > 0 &&
  make(
    "div",
    { className: "leads" },
    make("h3", { textContent: title }),
    make("ol", {}, ...turn.leads.map(lead(turn.leads))),
  );

// Questions to ask

const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

const unasked = () => {
  const asked = new Set(props.value.turns.map((turn) => plain(turn.question)));
  return (open?.examples ?? []).filter((example) => !asked.has(plain(example)));
};

const suggestion = (question) =>
  make("li", {}, make("button", { className: "example", type: "button", textContent: question, onclick: () => ask(question) }));

const suggestions = (title) => {
  const questions = unasked();
  return questions.length
    ? make(
        "div",
        { className: "suggestions" },
        make("h3", { textContent: title }),
        make("ul", {}, ...questions.map(suggestion)),
      )
    : null;
};

const greet = () =>
  make(
    "div",
    { className: "greeting" },
    make("h2", { textContent: "What would you like to know?" }),
    make(
      "p",
      {},
      open ? "Ask anything about " : "Ask anything about your document. ",
      open && make("cite", { textContent: open.title }),
      open && ". ",
      "Every answer is a quotation that you can check in its place.",
    ),
    suggestions("For example"),
  );

// Turns

const bodies = {
  answered: (turn) => [
    make("div", { className: "passages" }, ...turn.quotes.map(quotation(turn.quotes))),
    sources(turn.quotes),
    confidence(turn),
  ],
  unsure: (turn) => [
    line(turn),
    leads(turn, "Passages that may answer"),
    confidence(turn),
  ],
  not_found: (turn) => [
    make("p", { className: "line" }, make("strong", { textContent: turn.line }), " Quoth found no sentence that answers this."),
    leads(turn, "Closest passages"),
    suggestions("Questions that it does answer"),
  ],
  empty: (turn) => [line(turn)],
};

const heading = (question) => make("h2", { className: "asked", textContent: question });

const line = (turn) => make("p", { className: "line" }, make("strong", { textContent: turn.line }));

const understood = (turn) =>
  make(
    "p",
    { className: "resolved" },
    `Understood as: ${turn.resolved} `,
    make("button", {
      className: "as-typed",
      type: "button",
      textContent: "Ask it as I typed it",
      onclick: () => askAsTyped(turn.question),
    }),
  );

const turnNode = (turn) =>
  make(
    "article",
    { className: `turn ${turn.status}` },
    heading(turn.question),
    turn.resolved && understood(turn),
    ...(turn.small_talk ? [line(turn)] : bodies[turn.status](turn)).filter(Boolean),
  );

const pendingNode = (question) =>
  make(
    "article",
    { className: "turn pending", attributes: { "aria-busy": "true" } },
    heading(question),
    make("p", { className: "searching" }, make("span", { className: "dots", attributes: { "aria-hidden": "true" } }), "Looking for the answer"),
  );

// Painting

// The documents of a turn are named unless it has but one, and that is open.
const nameDocuments = (turn) => {
  const ids = new Set([...turn.querySelectorAll("[data-document]")].map((node) => node.dataset.document));
  turn.classList.toggle("titled", ids.size > 1 || !ids.has(open?.id));
};

const scrollToTurn = (node) => {
  const offset = node.querySelector("h2").getBoundingClientRect().top - log.getBoundingClientRect().top;
  log.scrollTo({ top: log.scrollTop + offset - SPACE_ABOVE, behavior: scrollBehavior() });
};

const paintTurns = (turns) => {
  const keys = turns.map((turn) => JSON.stringify(turn));
  const kept = painted.findIndex(({ key }, index) => key !== keys[index]);
  const stale = kept < 0 ? [] : painted.splice(kept);
  for (const { node } of stale) node.remove();
  const fresh = turns.slice(painted.length).map((turn, index) => {
    return { key: keys[painted.length + index], node: turnNode(turn) };
  });
  log.append(...fresh.map(({ node }) => node));
  fresh.forEach(({ node }) => nameDocuments(node));
  painted.push(...fresh);
  return fresh;
};

const paintGreeting = () => {
  greeting?.remove();
  greeting = painted.length || props.value.pending ? null : greet();
  if (greeting) log.prepend(greeting);
};

const paintPending = (question) => {
  waiting?.remove();
  waiting = question ? pendingNode(question) : null;
  if (!waiting) return;
  log.append(waiting);
  scrollToTurn(waiting);
};

const announce = (turn) => {
  const found = turn.quotes.length
    ? `${turn.confidence_words}. ${turn.quotes.map((quote) => quote.before + quote.focus + quote.after).join(" ")}`
    : turn.line;
  announcer.textContent = found;
};

const showLast = (scrolls) => {
  const turn = props.value.turns.at(-1);
  citing = painted.at(-1).node;
  scrollToTurn(citing);
  tell("answered", { cites: citesOf(turn.quotes.length ? turn.quotes : turn.leads), scrolls });
};

const finish = () => {
  const turn = props.value.turns.at(-1);
  showLast(turn.status !== "not_found");
  announce(turn);
  address({ q: turn.question.length <= MAX_ADDRESS_CHARS ? turn.question : "" });
};

const forget = () => {
  tell("answered", { cites: [] });
  if (begun) address({ q: "" });
};

const paint = () => {
  const { turns, pending } = props.value;
  const wasWaiting = waiting !== null;
  const fresh = paintTurns(turns);
  paintPending(pending);
  paintGreeting();
  if (!turns.length && !pending) forget();
  else if (fresh.length && (wasWaiting || begun)) finish();
  else if (fresh.length) showLast(false);
};

// A question in the address is asked once the page knows its document.
const begin = () => {
  if (begun) return;
  begun = true;
  const question = new URLSearchParams(location.search).get("q");
  if (question && props.value.turns.at(-1)?.question !== question) ask(question);
};

watch('value', paint);
listen("document", (shown) => {
  open = shown;
  painted.forEach(({ node }) => nameDocuments(node));
  paintGreeting();
  setTimeout(begin);
});
listen("current", ({ n }) => {
  for (const node of log.querySelectorAll("[data-n]")) {
    node.classList.toggle("current", node.closest(".turn") === citing && node.dataset.n === String(n));
  }
});
paint();
